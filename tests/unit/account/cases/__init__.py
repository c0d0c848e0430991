"""What the provisioning modules are told in the tests, and what can happen to what they built."""
