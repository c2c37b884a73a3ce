"""The network: backbone, FPN, protonet, head, and the re-scoring network."""
