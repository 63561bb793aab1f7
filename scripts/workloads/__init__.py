"""What is special about the recorded data of each workload; one without a module here needs none."""
