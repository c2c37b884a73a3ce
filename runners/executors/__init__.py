"""Where jobs are carried out: worker processes of this machine, or a cluster."""
