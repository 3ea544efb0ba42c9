#include "actors/host/ciphertext_file.hpp"

#include "actors/host/files.hpp"
#include "actors/keyprovider/ciphertext.hpp"
#include "adapters/crypto/crypto.hpp"

#include <algorithm>
#include <cerrno>
#include <glob.h>
#include <sys/stat.h>

namespace custos::host {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t short_name_bytes = 16;
constexpr unsigned mode_of_new = 0644;

fs::path context_path(const fs::path& path) {
  return path.string() + std::string(context_suffix);
}

/// No context file: no context.
result<bytes> read_context(const fs::path& path) {
  auto context = read_file(context_path(path), context_bytes_max, "the context");
  if (!context && context.failure().code == errc::not_found)
    return bytes{};
  return context;
}

error about(const fs::path& path, error e) {
  e.message = path.string() + ": " + e.message;
  return e;
}

struct glob_list : glob_t {
  glob_list() : glob_t{} {}
  glob_list(const glob_list&) = delete;
  glob_list& operator=(const glob_list&) = delete;
  ~glob_list() { ::globfree(this); }
};

bool is_wanted(const fs::path& p) {
  const auto name = p.filename().string();
  return !name.ends_with(context_suffix) && !name.ends_with(replacement_suffix);
}

result<void> add_folder(const fs::path& folder, std::vector<fs::path>& out) {
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    if (!at->path().filename().string().ends_with(ciphertext_suffix))
      continue;
    if (out.size() == ciphertext_files_max)
      return make_error(errc::too_large, "expected at most " +
                                             std::to_string(ciphertext_files_max) +
                                             " ciphertext files");
    out.push_back(at->path());
  }
  if (failed)
    return make_error(errc::io_failure, folder.string() + ": " + failed.message());
  return {};
}

result<void> add_matches(const std::string& pattern, std::vector<fs::path>& out) {
  glob_list found;
  // A folder that is not there yet holds nothing.
  const auto stops = [](const char*, int cause) { return cause == ENOENT ? 0 : 1; };
  const int status = ::glob(pattern.c_str(), GLOB_NOSORT, stops, &found);
  if (status == GLOB_NOMATCH)
    return {};
  if (status != 0)
    return make_error(errc::io_failure, pattern + ": a folder cannot be read");
  for (std::size_t i = 0; i < found.gl_pathc; ++i) {
    const fs::path p(found.gl_pathv[i]);
    std::error_code failed;
    if (fs::is_directory(p, failed)) {
      CUSTOS_CHECK(add_folder(p, out));
    } else if (is_wanted(p)) {
      if (out.size() == ciphertext_files_max)
        return make_error(errc::too_large, "expected at most " +
                                               std::to_string(ciphertext_files_max) +
                                               " ciphertext files");
      out.push_back(p);
    }
  }
  return {};
}

} // namespace

result<ciphertext_file> read_ciphertext_file(const fs::path& path) {
  ciphertext_file out;
  out.path = path;
  CUSTOS_TRY(out.ciphertext,
             read_file(path, kek_ciphertext_bytes_max, "the ciphertext", follow_link::no));
  auto parsed = keyprovider::parse_ciphertext(out.ciphertext);
  if (!parsed)
    return about(path, parsed.failure());
  out.provider = std::move(parsed->identity.provider);
  out.primary_key_id = std::move(parsed->identity.primary_key_id);
  CUSTOS_TRY(out.context, read_context(path));
  return out;
}

result<void> check_successor(const ciphertext_file& old, byte_view fresh) {
  auto parsed = keyprovider::parse_ciphertext(fresh);
  if (!parsed)
    return about(old.path, parsed.failure());
  if (parsed->identity.provider != old.provider)
    return make_error(errc::crypto_failure,
                      old.path.string() + ": the new ciphertext is of another provider");
  if (auto same = keyprovider::check_context(*parsed, old.context); !same)
    return about(old.path, same.failure());
  return {};
}

result<void> replace_ciphertext(const ciphertext_file& old, byte_view fresh) {
  CUSTOS_CHECK(check_successor(old, fresh));
  auto now = read_file(old.path, kek_ciphertext_bytes_max, "the ciphertext", follow_link::no);
  struct stat s {};
  if (!now || *now != old.ciphertext || ::lstat(old.path.c_str(), &s) != 0)
    return make_error(errc::revision_conflict,
                      old.path.string() + " is not any more what was read");
  return replace_file(old.path, fresh, s.st_mode & 0777U);
}

result<void> create_ciphertext(const fs::path& path, byte_view ciphertext, byte_view context) {
  const auto beside = context_path(path);
  auto kept = read_context(path);
  if (!kept)
    return kept.failure();
  std::error_code failed;
  const bool there = fs::exists(fs::symlink_status(beside, failed));
  if (there && *kept != to_bytes(context))
    return make_error(errc::already_exists, beside.string() + " exists and holds another context");
  if (!there && !context.empty())
    CUSTOS_CHECK(create_file(beside, context, mode_of_new));
  auto written = create_file(path, ciphertext, mode_of_new);
  if (!written && !there)
    fs::remove(beside, failed); // as it was; that it stays does no harm either
  return written;
}

result<std::vector<fs::path>> find_ciphertexts(const std::vector<std::string>& patterns) {
  std::vector<fs::path> out;
  for (const auto& p : patterns)
    CUSTOS_CHECK(add_matches(p, out));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::string short_name_of_key(std::string_view primary_key_id) {
  const auto digest = crypto::sha256(as_bytes(primary_key_id));
  return crypto::hex(byte_view(digest).first(short_name_bytes));
}

} // namespace custos::host
