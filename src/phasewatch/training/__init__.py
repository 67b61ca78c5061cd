"""From windows to fitted models: recipes, splits, augmentation, jobs, and a scikit-learn estimator."""
