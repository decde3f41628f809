"""The evidence strip: on every page, what the health of the installation is. Standing: below `visits`."""
