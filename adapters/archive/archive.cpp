#include "adapters/archive/archive.hpp"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <array>
#include <memory>
#include <set>

namespace custos::archive {

namespace {

constexpr std::size_t block_bytes = 512; // of a tar
constexpr std::size_t part_bytes = std::size_t{64} << 10;
constexpr unsigned file_mode = 0644;

struct read_free {
  void operator()(::archive* a) const { archive_read_free(a); }
};
struct write_free {
  void operator()(::archive* a) const { archive_write_free(a); }
};
struct entry_free {
  void operator()(::archive_entry* e) const { archive_entry_free(e); }
};
using reader = std::unique_ptr<::archive, read_free>;
using writer = std::unique_ptr<::archive, write_free>;

error said(errc code, ::archive* a, const char* what) {
  const auto* const why = a == nullptr ? nullptr : archive_error_string(a);
  return make_error(code, std::string(what) + (why == nullptr ? "" : std::string(": ") + why));
}

error too_large(std::size_t bytes_max) {
  return make_error(errc::too_large,
                    "expected an archive of at most " + std::to_string(bytes_max) + " bytes");
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= name_bytes_max && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

/// Reads what the present entry holds, up to bytes_max.
result<bytes> content_of(::archive* a, std::size_t bytes_max) {
  bytes out;
  std::vector<std::uint8_t> part(part_bytes);
  for (;;) {
    const auto n = archive_read_data(a, part.data(), part.size());
    if (n < 0)
      return said(errc::malformed, a, "the archive is damaged");
    if (n == 0)
      return out;
    if (static_cast<std::size_t>(n) > bytes_max - out.size())
      return too_large(bytes_max);
    out.insert(out.end(), part.begin(), part.begin() + n);
  }
}

/// Takes the gzip off, and nothing else: only then is it known how much there is to read.
result<bytes> unpack(byte_view packed, const limits& limit) {
  constexpr std::array<std::uint8_t, 3> gzip_deflate{0x1F, 0x8B, 0x08};
  if (packed.size() < gzip_deflate.size() ||
      !std::equal(gzip_deflate.begin(), gzip_deflate.end(), packed.begin()))
    return make_error(errc::malformed, "expected an archive packed with gzip");
  const reader a(archive_read_new());
  ::archive_entry* e = nullptr;
  if (!a || archive_read_support_filter_gzip(a.get()) != ARCHIVE_OK ||
      archive_read_support_format_raw(a.get()) != ARCHIVE_OK)
    return said(errc::internal, a.get(), "cannot read archives");
  if (archive_read_open_memory(a.get(), packed.data(), packed.size()) != ARCHIVE_OK ||
      archive_read_next_header(a.get(), &e) != ARCHIVE_OK)
    return said(errc::malformed, a.get(), "the archive is damaged");
  if (archive_filter_count(a.get()) != 2) // gzip around what is not packed again
    return make_error(errc::unsupported, "expected an archive that is packed once");
  return content_of(a.get(), limit.unpacked_bytes_max);
}

result<entry> read_entry(::archive* a, ::archive_entry* e, std::size_t bytes_max) {
  const auto* const path = archive_entry_pathname(e);
  if (path == nullptr || !is_file_name(path))
    return make_error(errc::unsupported,
                      "expected plain file names of 1-100 characters of A-Z a-z 0-9 . _ -");
  if (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) != nullptr ||
      archive_entry_symlink(e) != nullptr || archive_entry_sparse_count(e) > 0)
    return make_error(errc::unsupported, std::string(path) + ": expected a plain file");
  entry out;
  out.name = path;
  CUSTOS_TRY(out.content, content_of(a, bytes_max));
  if (archive_entry_size_is_set(e) != 0 &&
      archive_entry_size(e) != static_cast<la_int64_t>(out.content.size()))
    return make_error(errc::malformed, out.name + ": is cut off");
  return out;
}

/// A tar ends with zeros; anything behind its end is not part of what was read.
bool ends_there(byte_view tar, ::archive* a) {
  const auto used = archive_filter_bytes(a, -1);
  if (used < 0 || static_cast<std::size_t>(used) > tar.size() || tar.size() % block_bytes != 0)
    return false;
  return std::all_of(tar.begin() + used, tar.end(), [](auto octet) { return octet == 0; });
}

} // namespace

result<std::vector<entry>> read_tgz(byte_view packed, const limits& limit) {
  if (packed.size() > limit.packed_bytes_max)
    return too_large(limit.packed_bytes_max);
  CUSTOS_TRY(const auto tar, unpack(packed, limit));
  const reader a(archive_read_new());
  if (!a || archive_read_support_format_tar(a.get()) != ARCHIVE_OK)
    return said(errc::internal, a.get(), "cannot read archives");
  if (archive_read_open_memory(a.get(), tar.data(), tar.size()) != ARCHIVE_OK)
    return said(errc::malformed, a.get(), "expected a tar");
  std::vector<entry> out;
  std::set<std::string> names;
  for (;;) {
    ::archive_entry* e = nullptr;
    const auto state = archive_read_next_header(a.get(), &e);
    if (state == ARCHIVE_EOF)
      break;
    if (state != ARCHIVE_OK)
      return said(errc::malformed, a.get(), "expected a tar");
    if (out.size() == limit.entries_max)
      return make_error(errc::too_large, "expected at most " + std::to_string(limit.entries_max) +
                                             " files in the archive");
    CUSTOS_TRY(auto one, read_entry(a.get(), e, limit.unpacked_bytes_max));
    if (!names.insert(one.name).second)
      return make_error(errc::malformed, one.name + ": is in the archive twice");
    out.push_back(std::move(one));
  }
  if (out.empty() || !ends_there(tar, a.get()))
    return make_error(errc::malformed, "expected a tar with nothing behind its end");
  return out;
}

namespace {

la_ssize_t append(::archive*, void* to, const void* data, std::size_t size) {
  const auto* const octets = static_cast<const std::uint8_t*>(data);
  auto& out = *static_cast<bytes*>(to);
  out.insert(out.end(), octets, octets + size);
  return static_cast<la_ssize_t>(size);
}

} // namespace

result<bytes> write_tgz(std::span<const entry> entries) {
  bytes out;
  const writer a(archive_write_new());
  const std::unique_ptr<::archive_entry, entry_free> e(archive_entry_new());
  if (!a || !e || archive_write_add_filter_gzip(a.get()) != ARCHIVE_OK ||
      archive_write_set_format_ustar(a.get()) != ARCHIVE_OK ||
      archive_write_set_options(a.get(), "gzip:!timestamp") != ARCHIVE_OK ||
      archive_write_set_bytes_in_last_block(a.get(), 1) != ARCHIVE_OK ||
      archive_write_open(a.get(), &out, nullptr, append, nullptr) != ARCHIVE_OK)
    return said(errc::internal, a.get(), "cannot write archives");
  for (const auto& one : entries) {
    if (!is_file_name(one.name))
      return make_error(errc::invalid_argument, one.name + ": expected a plain file name");
    archive_entry_clear(e.get());
    archive_entry_set_pathname(e.get(), one.name.c_str());
    archive_entry_set_filetype(e.get(), AE_IFREG);
    archive_entry_set_perm(e.get(), file_mode);
    archive_entry_set_mtime(e.get(), 0, 0);
    archive_entry_set_size(e.get(), static_cast<la_int64_t>(one.content.size()));
    if (archive_write_header(a.get(), e.get()) != ARCHIVE_OK ||
        archive_write_data(a.get(), one.content.data(), one.content.size()) !=
            static_cast<la_ssize_t>(one.content.size()))
      return said(errc::internal, a.get(), "cannot write the archive");
  }
  if (archive_write_close(a.get()) != ARCHIVE_OK)
    return said(errc::internal, a.get(), "cannot write the archive");
  return out;
}

} // namespace custos::archive
