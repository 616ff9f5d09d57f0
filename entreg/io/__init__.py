"""Files: atomic writes, leases, downloads, archives and the file formats that entreg reads safely."""
