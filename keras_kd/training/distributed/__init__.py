"""Replicas and hosts: strategies, the loop for several hosts, and who notices that one is lost."""
