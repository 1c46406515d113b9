// header.cpp - the smallest C++ program of somebody else.
#include <cstdio>
#include <cuframes/cuframes.hpp>

int main() {
  const auto nobody = cuframes::subscriber::try_create("nobody-has-this-name");
  return nobody.has_value() || std::puts(cuframes::version()) < 0 ? 1 : 0;
}
