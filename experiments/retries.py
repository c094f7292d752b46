"""The flag of scripts that train many networks, some of which may fail."""

from absl import flags

RETRY_FAILED = flags.DEFINE_bool("retry_failed", False, "Whether to try again what failed before.")
