"""Pure parts that training and serving share: contracts, windows, scaling, features of each workload."""
