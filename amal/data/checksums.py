"""The published files by their checksums, each with its source: what is not one of them is not used unsaid.

A checksum is of what is used: of an IDX file its content, unpacked; of a USPS file the table that it holds; so the same
numbers in another form, such as a file packed again, are known too.
"""

SHA256 = {
    # LeCun, Cortes and Burges, MNIST; unpacked from the files whose md5 torchvision.datasets.MNIST.resources names.
    "MNIST/train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "MNIST/train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "MNIST/t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "MNIST/t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    # github.com/zalandoresearch/fashion-mnist, unpacked. The labels' were computed from the files whose md5
    # torchvision.datasets.FashionMNIST.resources names; the images' are those that other public loaders name.
    "FashionMNIST/train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "FashionMNIST/train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "FashionMNIST/t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "FashionMNIST/t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    # The course's USPS_train.txt and USPS_test.txt: of each picture its class and 256 values in [0, 1], little-endian
    # float32.
    "USPS/train": "e1c9d9c2bbaecc71a54f445d7cab9c3423000d842c16bf74a8666cc36ff03b87",
    "USPS/test": "38c8e4a48f567f48bb5d7533de62f75c62621a9c7e45a5709d73673328d8d87c",
    # archive.ics.uci.edu, Housing: the file itself, 49 082 bytes.
    "housing/housing.data": "baadf72995725d76efe787b664e1f083388c79ba21ef9a7990d87f774184735a",
}

LIBSVM_MD5 = {
    # libsvm's usps.bz2 and usps.t.bz2, packed, as torchvision.datasets.USPS.split_list names them.
    "usps.bz2": "ec16c51db3855ca6c91edd34d0e9b197",
    "usps.t.bz2": "8ea070ee2aca1ac39742fdd1ef5ed118",
}
