"""From windows to fitted models: recipes, splits, augmentation, jobs, an estimator."""
