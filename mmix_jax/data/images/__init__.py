"""Sets of images: CIFAR, folders of one's own, and images made by formula."""
