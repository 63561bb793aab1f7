"""Programs of the contenders, written as their documentation writes them; none imports anything of ours.

Each reads the model from the file that the variable MODEL names.
"""
