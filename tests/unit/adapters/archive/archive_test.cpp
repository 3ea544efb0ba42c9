#include "adapters/archive/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <functional>
#include <gtest/gtest.h>

namespace custos::archive {
namespace {

std::vector<entry> two() {
  return {{"image.json", to_bytes("{}")}, {"image.json.jws", bytes(100'000, 'x')}};
}

la_ssize_t append(::archive*, void* to, const void* data, std::size_t size) {
  const auto* const octets = static_cast<const std::uint8_t*>(data);
  static_cast<bytes*>(to)->insert(static_cast<bytes*>(to)->end(), octets, octets + size);
  return static_cast<la_ssize_t>(size);
}

/// An archive with one entry as somebody else might make it.
bytes made(const std::function<void(archive_entry*)>& change, const std::string& content = "{}",
           bool packed = true, int entries = 1) {
  bytes out;
  auto* const a = archive_write_new();
  if (packed)
    archive_write_add_filter_gzip(a);
  archive_write_set_format_pax(a);
  EXPECT_EQ(archive_write_open(a, &out, nullptr, append, nullptr), ARCHIVE_OK);
  for (int i = 0; i < entries; ++i) {
    auto* const e = archive_entry_new();
    archive_entry_set_pathname(e, ("file-" + std::to_string(i)).c_str());
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, static_cast<la_int64_t>(content.size()));
    change(e);
    // A warning where the locale cannot say the name in UTF-8: it is written as it is then.
    EXPECT_GE(archive_write_header(a, e), ARCHIVE_WARN) << archive_error_string(a);
    if (archive_entry_filetype(e) == AE_IFREG)
      archive_write_data(a, content.data(), content.size());
    archive_entry_free(e);
  }
  EXPECT_EQ(archive_write_close(a), ARCHIVE_OK);
  archive_write_free(a);
  return out;
}

bytes gzipped(byte_view content) {
  bytes out;
  auto* const a = archive_write_new();
  archive_write_add_filter_gzip(a);
  archive_write_set_format_raw(a);
  archive_write_open(a, &out, nullptr, append, nullptr);
  auto* const e = archive_entry_new();
  archive_entry_set_filetype(e, AE_IFREG);
  archive_write_header(a, e);
  archive_write_data(a, content.data(), content.size());
  archive_entry_free(e);
  archive_write_close(a);
  archive_write_free(a);
  return out;
}

errc code_of(byte_view packed, const limits& limit = {}) {
  const auto r = read_tgz(packed, limit);
  EXPECT_FALSE(r.ok());
  return r.ok() ? errc::internal : r.failure().code;
}

TEST(tgz, reads_what_it_writes) {
  const auto written = write_tgz(two());
  ASSERT_TRUE(written.ok()) << written.failure().message;
  const auto read = read_tgz(*written);
  ASSERT_TRUE(read.ok()) << read.failure().message;
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].name, "image.json");
  EXPECT_EQ((*read)[0].content, to_bytes("{}"));
  EXPECT_EQ((*read)[1].content, bytes(100'000, 'x'));
  EXPECT_EQ(write_tgz(two()).value(), *written) << "equal entries make equal octets";
}

TEST(tgz, reads_what_others_write) {
  const auto read = read_tgz(made([](archive_entry* e) {
    archive_entry_set_mtime(e, 1'750'000'000, 5);
    archive_entry_set_uname(e, "somebody");
  }));
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(read->at(0).name, "file-0");
}

TEST(tgz, refuses_paths) {
  for (const auto* name : {"/etc/passwd", "../x", "a/b", ".hidden", "..", "a b", "a\nb"})
    EXPECT_EQ(code_of(made([&](archive_entry* e) { archive_entry_set_pathname(e, name); })),
              errc::unsupported)
        << name;
  EXPECT_EQ(code_of(made([](archive_entry* e) {
              archive_entry_set_pathname(e, std::string(101, 'a').c_str());
            })),
            errc::unsupported);
  for (const std::string name : {"", "../x", "a/b", ".x"})
    EXPECT_FALSE(write_tgz(std::vector<entry>{{name, {}}}).ok()) << name;
}

TEST(tgz, refuses_what_is_no_plain_file) {
  EXPECT_EQ(code_of(made([](archive_entry* e) {
              archive_entry_set_filetype(e, AE_IFLNK);
              archive_entry_set_symlink(e, "/etc/shadow");
              archive_entry_set_size(e, 0);
            })),
            errc::unsupported);
  EXPECT_EQ(code_of(made(
                [](archive_entry* e) {
                  archive_entry_set_hardlink(e, "image.json");
                  archive_entry_set_size(e, 0);
                },
                "")),
            errc::unsupported);
  for (const auto type : {AE_IFDIR, AE_IFCHR, AE_IFIFO})
    EXPECT_EQ(code_of(made([&](archive_entry* e) {
                archive_entry_set_filetype(e, type);
                archive_entry_set_size(e, 0);
              })),
              errc::unsupported);
  EXPECT_EQ(code_of(made(
                [](archive_entry* e) {
                  archive_entry_set_size(e, 1 << 20);
                  archive_entry_sparse_add_entry(e, 1 << 19, 4096);
                },
                std::string(1 << 20, '\0'))),
            errc::unsupported);
}

TEST(tgz, cve_2022_23951_is_bounded_before_it_is_looked_at) {
  const auto bomb = made([](archive_entry*) {}, std::string(std::size_t{8} << 20, '\0'));
  EXPECT_LT(bomb.size(), 64U << 10U);
  EXPECT_EQ(code_of(bomb, {1U << 20U, 1U << 20U, 4}), errc::too_large);
  EXPECT_EQ(code_of(bomb, {1U << 10U, 64U << 20U, 4}), errc::too_large);
  EXPECT_EQ(code_of(made([](archive_entry*) {}, "x", true, 5), {1U << 20U, 1U << 20U, 4}),
            errc::too_large);
}

TEST(tgz, refuses_a_name_twice) {
  EXPECT_EQ(
      code_of(made([](archive_entry* e) { archive_entry_set_pathname(e, "same"); }, "x", true, 2)),
      errc::malformed);
}

TEST(tgz, refuses_what_is_packed_otherwise) {
  const auto tar = made([](archive_entry*) {}, "{}", false);
  EXPECT_EQ(code_of(tar), errc::malformed);
  EXPECT_TRUE(read_tgz(gzipped(tar)).ok());
  EXPECT_FALSE(read_tgz(gzipped(gzipped(tar))).ok());
  EXPECT_FALSE(read_tgz(gzipped(to_bytes("not a tar, but long enough to be asked"))).ok());
  EXPECT_EQ(code_of({}), errc::malformed);
}

TEST(tgz, has_nothing_behind_its_end) {
  auto tar = made([](archive_entry*) {}, "{}", false);
  auto more = made([](archive_entry* e) { archive_entry_set_pathname(e, "hidden"); }, "x", false);
  tar.insert(tar.end(), more.begin(), more.end());
  EXPECT_EQ(code_of(gzipped(tar)), errc::malformed);
}

TEST(tgz, is_refused_wherever_it_is_cut) {
  const auto whole = write_tgz(two()).value();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto r = read_tgz(byte_view(whole).first(n));
    // The check sum of gzip is not looked at by everybody: what is read must at least be whole.
    if (r.ok()) {
      ASSERT_GT(n + 16, whole.size()) << n;
      EXPECT_EQ(r->at(1).content, bytes(100'000, 'x'));
    }
  }
}

} // namespace
} // namespace custos::archive
