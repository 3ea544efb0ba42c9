#include "adapters/rocksdb/kv_store.hpp"

#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"

#include <chrono>
#include <fstream>
#include <functional>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace custos::rocksdb {

namespace {

using custos::test::temporary_directory;

std::shared_ptr<kv_store> opened(const std::filesystem::path& directory, bool create = false) {
  auto store = open_store(directory, {create});
  EXPECT_TRUE(store.ok()) << (store.ok() ? "" : store.failure().message);
  return store.ok() ? *store : nullptr;
}

void put(kv_store& store, const std::string& key, std::string_view value) {
  write_batch batch;
  batch.put(key, value);
  ASSERT_TRUE(store.write(batch).ok());
}

std::string text_at(const kv_store& store, std::string_view key) {
  const auto value = store.get(key);
  if (!value)
    return "error: " + std::string(to_string(value.failure().code));
  return *value ? std::string(as_text(**value)) : "nothing";
}

std::filesystem::path file_ending(const std::filesystem::path& directory,
                                  const std::string& extension) {
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == extension && entry.file_size() > 0)
      return entry.path();
  ADD_FAILURE() << "no " << extension << " file";
  return {};
}

void flip_byte(const std::filesystem::path& file, std::string_view near) {
  auto content = custos::test::file_content(file);
  const auto at = content.find(near);
  ASSERT_NE(at, std::string::npos);
  content[at] = static_cast<char>(content[at] ^ 1);
  custos::test::write_file(file, content);
}

/// Both stores must behave alike.
class any_store : public testing::TestWithParam<bool> {
protected:
  any_store() : store(GetParam() ? opened(directory.path() / "db", true) : make_memory_store()) {}
  temporary_directory directory;
  std::shared_ptr<kv_store> store;
};

} // namespace

TEST_P(any_store, gives_back_what_was_put) {
  put(*store, "a", "1");
  put(*store, "a", "2");
  put(*store, "b", std::string_view("\0x", 2));
  EXPECT_EQ(text_at(*store, "a"), "2");
  EXPECT_EQ(text_at(*store, "b"), std::string_view("\0x", 2));
  EXPECT_EQ(text_at(*store, "c"), "nothing");
}

TEST_P(any_store, applies_a_batch_in_order) {
  write_batch batch;
  batch.put("a", "1");
  batch.erase("a");
  batch.erase("never");
  batch.put("b", "1");
  batch.put("b", "2");
  ASSERT_TRUE(store->write(batch).ok());
  EXPECT_EQ(text_at(*store, "a"), "nothing");
  EXPECT_EQ(text_at(*store, "b"), "2");
}

TEST_P(any_store, scans_a_prefix_in_order) {
  for (const auto* key : {"p/b", "p/a", "p", "p0", "o/z", "q/a"})
    put(*store, key, key);
  const auto found = store->scan("p/");
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ((*found)[0].key, "p/a");
  EXPECT_EQ((*found)[1].key, "p/b");
  EXPECT_EQ(as_text((*found)[1].value), "p/b");
  EXPECT_EQ(store->scan("")->size(), 6U);
  EXPECT_TRUE(store->scan("x")->empty());
}

TEST_P(any_store, visits_what_it_scans_until_somebody_has_seen_enough) {
  for (const auto* key : {"p/b", "p/a", "p0"})
    put(*store, key, std::string("value of ") + key);
  std::string seen;
  const auto visited =
      store->visit("p/", [&](std::string_view key, byte_view value) -> result<void> {
        seen.append(key).append("=").append(as_text(value)).append(";");
        return {};
      });
  EXPECT_TRUE(visited.ok());
  EXPECT_EQ(seen, "p/a=value of p/a;p/b=value of p/b;");
  int calls = 0;
  const auto ended = store->visit("", [&](std::string_view, byte_view) -> result<void> {
    return ++calls == 2 ? result<void>(make_error(errc::cancelled, "enough")) : result<void>();
  });
  EXPECT_EQ(ended.failure().code, errc::cancelled);
  EXPECT_EQ(calls, 2);
}

TEST_P(any_store, erases_all_that_begins_so) {
  for (const auto* key : {"p/a", "p/b", "p/b/c", "p", "p0", "q"})
    put(*store, key, "1");
  put(*store, "p/\xFF\xFF", "1");
  write_batch batch;
  batch.put("p/before", "1");
  batch.erase_prefix("p/");
  batch.put("p/b", "2");
  ASSERT_TRUE(store->write(batch).ok());
  EXPECT_EQ(text_at(*store, "p/a"), "nothing");
  EXPECT_EQ(text_at(*store, "p/before"), "nothing");
  EXPECT_EQ(text_at(*store, "p/b"), "2");
  EXPECT_EQ(store->scan("")->size(), 4U); // p, p/b, p0, q
}

TEST_P(any_store, erases_prefixes_that_end_with_the_last_octet) {
  for (const auto* key : {"a\xFF", "a\xFF\xFFz", "b", "a"})
    put(*store, key, "1");
  write_batch batch;
  batch.erase_prefix("a\xFF");
  ASSERT_TRUE(store->write(batch).ok());
  EXPECT_EQ(store->scan("")->size(), 2U); // a, b
  write_batch all;
  all.erase_prefix("");
  EXPECT_EQ(store->write(all).failure().code, errc::invalid_argument);
  write_batch last;
  last.erase_prefix("\xFF\xFF");
  EXPECT_EQ(store->write(last).failure().code, errc::invalid_argument);
  EXPECT_EQ(store->scan("")->size(), 2U);
}

TEST_P(any_store, shows_what_was_written_without_a_sync) {
  write_batch batch;
  batch.put("a", "1");
  ASSERT_TRUE(store->write(batch, durability::buffered).ok());
  EXPECT_EQ(text_at(*store, "a"), "1");
}

TEST_P(any_store, refuses_bad_keys_and_large_values_whole) {
  write_batch batch;
  batch.put("good", "1");
  batch.put("", "1");
  EXPECT_EQ(store->write(batch).failure().code, errc::invalid_argument);
  EXPECT_EQ(text_at(*store, "good"), "nothing");
  EXPECT_EQ(store->get(std::string(key_bytes_max + 1, 'k')).failure().code, errc::too_large);
  write_batch large;
  large.put("good", "1");
  large.put("large", bytes(value_bytes_max + 1));
  EXPECT_EQ(store->write(large).failure().code, errc::too_large);
  EXPECT_EQ(text_at(*store, "good"), "nothing");
}

INSTANTIATE_TEST_SUITE_P(kv_store, any_store, testing::Values(false, true),
                         [](const auto& chosen) { return chosen.param ? "disk" : "memory"; });

TEST(rocksdb_store, is_there_after_reopening) {
  const temporary_directory d;
  put(*opened(d.path() / "db", true), "a", "1");
  const auto again = opened(d.path() / "db");
  EXPECT_EQ(text_at(*again, "a"), "1");
}

TEST(rocksdb_store, has_what_was_erased_and_buffered_after_reopening) {
  const temporary_directory d;
  {
    const auto store = opened(d.path() / "db", true);
    put(*store, "p/a", "1");
    write_batch batch;
    batch.erase_prefix("p/");
    batch.put("p/b", "2");
    ASSERT_TRUE(store->write(batch, durability::buffered).ok());
  }
  const auto again = opened(d.path() / "db");
  EXPECT_EQ(text_at(*again, "p/a"), "nothing");
  EXPECT_EQ(text_at(*again, "p/b"), "2");
}

TEST(rocksdb_store, is_not_made_by_accident) {
  const temporary_directory d;
  EXPECT_EQ(open_store(d.path() / "db").failure().code, errc::not_found);
  EXPECT_FALSE(std::filesystem::exists(d.path() / "db"));
}

TEST(rocksdb_store, opens_once) {
  const temporary_directory d;
  const auto first = opened(d.path() / "db", true);
  EXPECT_EQ(open_store(d.path() / "db").failure().code, errc::unavailable);
}

/// What was acknowledged is there after a process died without closing anything.
TEST(rocksdb_store, survives_sudden_death) {
  const temporary_directory d;
  const auto child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = open_store(d.path() / "db", {true});
    write_batch batch;
    batch.put("a", "acknowledged");
    _exit(store.ok() && (*store)->write(batch).ok() ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(text_at(*opened(d.path() / "db"), "a"), "acknowledged");
}

constexpr int not_permitted = 77;
constexpr std::size_t value_size = 5000;
constexpr std::size_t values_with_room = 20;

/// Fills what is left of the disk.
void fill(const std::filesystem::path& disk) {
  std::ofstream file(disk / "filler");
  const std::string block(4096, 'x');
  while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
  }
}

/// How many values are acknowledged on a disk that is full after some.
std::size_t write_until_full(kv_store& store, const std::filesystem::path& disk) {
  for (std::size_t i = 0;; ++i) {
    if (i == values_with_room)
      fill(disk);
    write_batch batch;
    batch.put("key" + std::to_string(i), bytes(value_size, 1));
    if (!store.write(batch))
      return i;
  }
}

bool write_later(kv_store& store) {
  write_batch batch;
  batch.put("later", "value");
  const auto done = store.write(batch);
  return done.ok();
}

bool has_all(const kv_store& store, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    if (text_at(store, "key" + std::to_string(i)) != std::string(value_size, 1))
      return false;
  return true;
}

/// In a mount namespace of its own; what went wrong is the exit code.
int use_a_full_disk(const std::filesystem::path& disk, bool heals) {
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=8m") != 0)
    return not_permitted;
  auto store = open_store(disk / "db", {true, heals});
  if (!store)
    return 1;
  const auto count = write_until_full(**store, disk);
  // Opening it makes room, which may do for a small change.
  if (write_later(**store) && !heals)
    return 2;
  std::filesystem::remove(disk / "filler");
  // As long as RocksDB would need to find that there is room again.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < end)
    if (write_later(**store) != heals)
      return 3;
  if (!heals) {
    store = make_error(errc::not_found, "closed");
    store = open_store(disk / "db");
    if (!store)
      return 4;
  }
  return has_all(**store, count) && write_later(**store) ? 0 : 5;
}

/// RocksDB of Debian 12 aborts when it tries to recover by itself from a full disk.
class full_disk : public testing::TestWithParam<bool> {};

TEST_P(full_disk, fails_every_write_until_it_is_opened_again) {
  // In a process of its own that is not forked from one with RocksDB's threads.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const temporary_directory d;
  const auto well = [](int status) {
    return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == not_permitted);
  };
  EXPECT_EXIT(_exit(use_a_full_disk(d.path(), GetParam())), well, "");
}

INSTANTIATE_TEST_SUITE_P(rocksdb_store, full_disk, testing::Values(false, true),
                         [](const auto& made) {
                           return made.param ? "by_itself" : "by_its_owner";
                         });

TEST(rocksdb_store, an_unfinished_last_record_is_dropped) {
  const temporary_directory d;
  {
    const auto store = opened(d.path() / "db", true);
    put(*store, "a", "first-value");
    put(*store, "b", "last-value");
  }
  const auto log = file_ending(d.path() / "db", ".log");
  std::filesystem::resize_file(log, custos::test::file_content(log).find("last-value") + 3);
  const auto store = opened(d.path() / "db");
  EXPECT_EQ(text_at(*store, "a"), "first-value");
  EXPECT_EQ(text_at(*store, "b"), "nothing");
}

TEST(rocksdb_store, damage_in_the_log_is_an_error) {
  const temporary_directory d;
  {
    const auto store = opened(d.path() / "db", true);
    put(*store, "a", "first-value");
    put(*store, "b", "last-value");
  }
  flip_byte(file_ending(d.path() / "db", ".log"), "first-value");
  const auto store = open_store(d.path() / "db");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.failure().code, errc::corrupted);
}

TEST(rocksdb_store, damage_in_a_table_is_an_error) {
  const temporary_directory d;
  {
    const auto store = opened(d.path() / "db", true);
    put(*store, "a", "first-value");
  }
  opened(d.path() / "db"); // recovery writes the log into a table
  flip_byte(file_ending(d.path() / "db", ".sst"), "first-value");
  const auto store = open_store(d.path() / "db");
  if (!store) {
    EXPECT_EQ(store.failure().code, errc::corrupted);
    return;
  }
  EXPECT_EQ(text_at(**store, "a"), "error: corrupted");
  EXPECT_EQ((*store)->scan("a").failure().code, errc::corrupted);
}

} // namespace custos::rocksdb
