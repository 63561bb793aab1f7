"""`make image-check`: the image does what a user has it do."""
