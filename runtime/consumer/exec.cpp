#include "messages/keys.hpp"
#include "runtime/consumer/agent_client.hpp"
#include "runtime/consumer/commands.hpp"
#include "runtime/exit_codes.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <iostream>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL // Linux 6.3
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace custos::runtime {

namespace {

constexpr std::size_t names_max = 64;
constexpr std::size_t name_chars_max = 64;
// As a shell says it (POSIX, 2.8.2).
constexpr int exit_not_found = 127;
constexpr int exit_not_executable = 126;

error memory_error(const std::string& doing) {
  return make_error(errc::storage_failure,
                    doing + ": " + std::error_code(errno, std::generic_category()).message());
}

/// A file in memory that nobody can change any more, open for the program that comes. -1 and errno.
result<int> memory_file(const std::string& name, const crypto::secret_bytes& key) {
  int fd = ::memfd_create(name.c_str(), MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) // an older kernel
    fd = ::memfd_create(name.c_str(), MFD_ALLOW_SEALING);
  if (fd < 0)
    return memory_error("a file in memory cannot be made");
  const auto raw = key.reveal_secret();
  // Larger ones do not exist (kek_bytes_max): one write is enough.
  if (::write(fd, raw.data(), raw.size()) != static_cast<ssize_t>(raw.size()) ||
      ::lseek(fd, 0, SEEK_SET) != 0 || ::fchmod(fd, 0400) != 0 ||
      ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return memory_error("a file in memory cannot be written");
  return fd;
}

int start(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (const auto& a : command)
    argv.push_back(const_cast<char*>(a.c_str())); // execvp does not write to them
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  const int cause = errno;
  std::cerr << "custos-host: " << command.front() << ": "
            << std::error_code(cause, std::generic_category()).message() << "\n";
  return cause == ENOENT ? exit_not_found : exit_not_executable;
}

} // namespace

result<named_file> parse_named_file(const std::string& text) {
  const auto sign = text.find('=');
  const auto name = text.substr(0, sign);
  const bool good = sign != std::string::npos && sign + 1 < text.size() && !name.empty() &&
                    name.size() <= name_chars_max &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '_';
                    });
  if (!good)
    return field_error(errc::invalid_argument, "--key",
                       "expected NAME=FILE, NAME being letters, digits and _");
  return named_file{name, text.substr(sign + 1)};
}

std::string with_paths(std::string argument, const std::vector<named_file>& paths) {
  std::size_t at = 0;
  while ((at = argument.find('{', at)) != std::string::npos) {
    const auto found = std::find_if(paths.begin(), paths.end(), [&](const named_file& p) {
      return argument.compare(at, p.name.size() + 2, "{" + p.name + "}") == 0;
    });
    if (found == paths.end()) {
      ++at;
      continue;
    }
    argument.replace(at, found->name.size() + 2, found->file);
    at += found->file.size(); // what was put in is not looked at again
  }
  return argument;
}

int exec_with_keys(const agent_address& agent, const exec_options& o) {
  if (o.command.empty() || o.keys.size() > names_max)
    return complain(
        field_error(errc::invalid_argument, o.command.empty() ? "PROGRAM" : "--key",
                    o.command.empty() ? "expected a program to run" : "expected at most 64 keys"));
  std::vector<named_file> wanted;
  for (const auto& text : o.keys) {
    auto one = parse_named_file(text);
    if (!one)
      return complain(one.failure());
    if (std::any_of(wanted.begin(), wanted.end(),
                    [&one](const named_file& w) { return w.name == one->name; }))
      return complain(field_error(errc::invalid_argument, "--key", "expected each name once"));
    wanted.push_back(*std::move(one));
  }
  std::vector<named_file> paths;
  for (const auto& w : wanted) {
    crypto::secret_bytes key;
    if (const auto code = open_key(agent, {{}, w.file, std::nullopt}, key))
      return *code;
    const auto fd = memory_file("custos:" + w.name, key);
    if (!fd)
      return complain(fd.failure());
    paths.push_back({w.name, "/proc/self/fd/" + std::to_string(*fd)});
    if (::setenv(("CUSTOS_KEY_" + w.name).c_str(), paths.back().file.c_str(), 1) != 0)
      return complain(memory_error("the environment cannot be set"));
  }
  auto command = o.command;
  for (auto& argument : command)
    argument = with_paths(std::move(argument), paths);
  return start(command);
}

} // namespace custos::runtime
