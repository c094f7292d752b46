"""Scripts that show a job from beginning to end, with data that a package ships."""
