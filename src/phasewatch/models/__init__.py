"""The models, one file each: the folder is the registry, `_*` and `base` are shared parts.

To add a model, add a file whose class `Model` is a `base.Classifier`, or a `_network.Network` with
`layers` and a `Config`. Its name is the file's: `phasewatch train`, checkpoints, bundles and
`Estimator` find it there. A recipe in `training/recipes.py` names the models that a run trains.
"""
