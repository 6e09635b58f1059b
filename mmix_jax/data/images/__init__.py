"""Sets of images: CIFAR, Fashion-MNIST, folders and archives of yours, digits, generated ones."""

# By name: module and function that load it, imported when they are used, and those arguments of
# `catalog.load_images` that the function takes.
IMAGE_LOADERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cifar10": ("cifar.load_cifar", ("name", "data_dir")),
    "cifar100": ("cifar.load_cifar", ("name", "data_dir")),
    "digits": ("digit_images.load_digit_images", ()),
    "fashion_mnist": ("fashion_mnist.load_fashion_mnist", ("data_dir",)),
    "generated": ("generated_images.load_generated_images", ()),
    "image_folder": ("image_folder.read_image_folder", ("path", "size")),
}
IMAGE_DATASETS = tuple(IMAGE_LOADERS)

# What the path of one's own data may lead to.
IMAGE_PATHS = {"image_folder": "a folder, zip or tar of images, a sub-folder per class or none"}
