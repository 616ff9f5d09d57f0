"""Published files from the network: downloaded, checked and unpacked, whatever the network or the file does."""
