"""Whether real weights do here what published figures and this project's tests on small models say."""
