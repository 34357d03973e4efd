"""The certificate: each closed form of each application against what it must equal, in both precisions."""
