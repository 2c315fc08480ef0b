"""Where frames come from: files, cameras, images and rendered scenes; ``read.read`` is the one entrance."""
