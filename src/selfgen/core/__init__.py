"""What every room builds on: errors, specs, digests and manifests, addressed draws."""
