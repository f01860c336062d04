"""What the files of an adapter or a model from elsewhere say, before anything of them is loaded.

Nothing here runs, unpickles or follows what it reads. No torch.
"""
