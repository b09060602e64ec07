"""Where sound and picture come from and go to: sound cards, cameras, files, pipes, and what stands in for
them.

Use the four factories in `p2pcall.device.factory` and `list_devices`; the Protocols are in
`p2pcall.device.base`.
"""
