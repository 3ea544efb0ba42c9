#include "actors/host/logs.hpp"

#include "adapters/ima/writer.hpp"
#include "tests/unit/actors/host/temporary_folder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace custos::host {

namespace {

std::string large(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<char>(i * 31);
  return out;
}

ima::writer some_list() {
  ima::writer w;
  const auto digest = crypto::sha256(as_bytes("file"));
  w.add_ng("boot_aggregate", crypto::hash_alg::sha256, digest);
  w.add_sig("/usr/bin/true", crypto::hash_alg::sha256, digest, bytes(40, 3));
  w.add_violation("/var/log/journal", crypto::hash_alg::sha256);
  w.add_ng("/usr/bin/a b", crypto::hash_alg::sha256, digest);
  return w;
}

} // namespace

TEST(event_log, is_read_whole) {
  const test::temporary_folder folder;
  const auto content = large(event_log_bytes_max);
  const auto log = read_event_log(folder.write("log", content));
  ASSERT_TRUE(log.ok()) << log.failure().message;
  EXPECT_EQ(as_text(*log), content);
  EXPECT_TRUE(read_event_log(folder.write("empty", ""))->empty());
}

TEST(event_log, that_cannot_be_read_is_explained) {
  const test::temporary_folder folder;
  const auto missing = read_event_log(folder / "nothing");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.failure().code, errc::not_found);
  EXPECT_NE(missing.failure().message.find("nothing"), std::string::npos);
  EXPECT_NE(missing.failure().message.find("securityfs"), std::string::npos);
  const auto huge = read_event_log(folder.write("huge", large(event_log_bytes_max + 1)));
  ASSERT_FALSE(huge.ok());
  EXPECT_EQ(huge.failure().code, errc::too_large);
  EXPECT_EQ(read_event_log(folder.path()).failure().code, errc::io_failure)
      << "a directory is no log";
}

TEST(event_log, that_may_not_be_read_is_explained) {
  if (::geteuid() == 0)
    GTEST_SKIP() << "root may read everything";
  const test::temporary_folder folder;
  const auto file = folder.write("secret", "x");
  std::filesystem::permissions(file, std::filesystem::perms::none);
  const auto log = read_event_log(file);
  ASSERT_FALSE(log.ok());
  EXPECT_EQ(log.failure().code, errc::forbidden);
  EXPECT_NE(log.failure().message.find("root"), std::string::npos);
}

TEST(ima_log, is_optional) {
  const test::temporary_folder folder;
  EXPECT_TRUE(read_ima_log({})->empty());
  EXPECT_TRUE(read_ima_log(folder / "nothing")->empty());
  EXPECT_EQ(as_text(*read_ima_log(folder.write("log", "10 ..."))), "10 ...");
  EXPECT_FALSE(read_ima_log(folder.path()).ok());
}

TEST(ima_log, is_cut_between_entries_in_both_forms) {
  const auto list = some_list();
  for (const auto& whole : {list.binary(), to_bytes(list.ascii())}) {
    std::size_t last = whole.size() + 1;
    for (std::uint64_t n = 0; n <= 4; ++n) {
      const auto rest = ima_log_from(whole, n);
      ASSERT_TRUE(rest.ok()) << n << rest.failure().message;
      EXPECT_LT(rest->size(), last);
      last = rest->size();
      EXPECT_TRUE(std::equal(rest->rbegin(), rest->rend(), whole.rbegin()));
      const auto parsed = ima::parse(*rest, {}, static_cast<std::uint32_t>(n));
      ASSERT_TRUE(parsed.ok()) << n << parsed.failure().message;
      EXPECT_EQ(parsed->entries.size(), 4 - n);
    }
    EXPECT_EQ(last, 0U);
    EXPECT_EQ(ima_log_from(whole, 5).failure().code, errc::invalid_argument);
  }
  EXPECT_FALSE(ima_log_from(to_bytes("no list at all\n"), 1).ok());
}

} // namespace custos::host
