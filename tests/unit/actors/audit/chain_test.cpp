#include "actors/audit/chain.hpp"

#include "adapters/json/json.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace custos::audit {
namespace {

constexpr std::int64_t now = 1'800'000'000; // 2027-01-15T08:00:00Z

audit_record record(std::string action) {
  return {"host-7", "192.0.2.7:40000", std::move(action), "vault", "ok", "key=00ff"};
}

std::string_view without_feed(const std::string& line) {
  EXPECT_TRUE(line.ends_with('\n'));
  return std::string_view(line).substr(0, line.size() - 1);
}

std::string chain_of(int lines, chain_head head = {}) {
  std::string text;
  for (int i = 0; i < lines; ++i)
    text += next_line(record("action-" + std::to_string(i)), now + i, head);
  return text;
}

class audit_chain : public ::testing::Test {
protected:
  audit_chain() {
    directory = std::filesystem::temp_directory_path() /
                ("custos-chain-" + crypto::hex(crypto::random_bytes(8)));
    std::filesystem::create_directories(directory);
    file = directory / "audit.jsonl";
  }
  ~audit_chain() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  void write(const std::string& text) { std::ofstream(file, std::ios::binary) << text; }
  std::string failure() {
    const auto found = verify_file(file);
    EXPECT_FALSE(found);
    return found ? "" : found.failure().message;
  }
  std::filesystem::path directory, file;
};

TEST_F(audit_chain, a_line_says_everything_and_can_be_read_as_json) {
  chain_head head;
  const auto line = next_line(record("key.generate"), now, head);
  auto read = json::parse_object(without_feed(line));
  ASSERT_TRUE(read) << read.failure().message;
  EXPECT_EQ(*read->integer("sequence", 0, 100), 1);
  EXPECT_EQ(*read->string("time", 100), "2027-01-15T08:00:00Z");
  EXPECT_EQ(*read->string("actor", 100), "host-7");
  EXPECT_EQ(*read->string("remote", 100), "192.0.2.7:40000");
  EXPECT_EQ(*read->string("action", 100), "key.generate");
  EXPECT_EQ(*read->string("object", 100), "vault");
  EXPECT_EQ(*read->string("outcome", 100), "ok");
  EXPECT_EQ(*read->string("detail", 100), "key=00ff");
  EXPECT_EQ(*read->string("previous", 100), std::string(64, '0'));
  EXPECT_EQ(*read->string("hash", 100), crypto::hex(head.hash));
  EXPECT_TRUE(read->finish());
  EXPECT_EQ(head.sequence, 1U);
}

/// The rule of the header, applied by hand.
TEST_F(audit_chain, the_hash_covers_the_line_up_to_itself) {
  chain_head head;
  const auto line = next_line(record("x"), now, head);
  const auto comma = line.find(R"(,"hash":)");
  ASSERT_NE(comma, std::string::npos);
  EXPECT_EQ(crypto::hex(crypto::sha256(as_bytes(std::string_view(line).substr(0, comma)))),
            line.substr(comma + 9, 64));
}

TEST_F(audit_chain, cve_2022_23949_text_from_outside_cannot_forge_lines_or_move_terminals) {
  chain_head head;
  audit_record evil = record("x");
  evil.actor = "a\n{\"sequence\":2}\r\x1b[2J\x7f\"\\";
  evil.remote = "\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xc2"; // nothing of it is UTF-8
  evil.object = "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x94\x91 \xc2\x9b";
  const auto line = next_line(evil, now, head);
  const auto text = without_feed(line);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    EXPECT_TRUE(byte >= 0x20 && byte != 0x7F);
  }
  EXPECT_TRUE(read_line(text));
  auto read = json::parse_object(text);
  ASSERT_TRUE(read) << read.failure().message;
  EXPECT_EQ(*read->string("actor", 100), evil.actor);
  EXPECT_EQ(*read->string("object", 100), "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x94\x91 \xc2\x9b");
  const auto remote = *read->string("remote", 100);
  EXPECT_EQ(remote.size() % 3, 0U);
  for (std::size_t i = 0; i < remote.size(); i += 3)
    EXPECT_EQ(remote.substr(i, 3), "\xef\xbf\xbd");
}

TEST_F(audit_chain, long_texts_are_cut_and_say_so) {
  chain_head head;
  audit_record longest{std::string(9000, '\0'), std::string(9000, '\0'), std::string(9000, '\0'),
                       std::string(9000, '\0'), std::string(9000, '\0'), std::string(90000, '\0')};
  const auto line = next_line(longest, now, head);
  EXPECT_LE(line.size(), line_bytes_max);
  EXPECT_TRUE(read_line(without_feed(line)));
  audit_record fits = record("x");
  fits.detail = std::string(detail_bytes_max, 'd');
  EXPECT_NE(next_line(fits, now, head).find(fits.detail), std::string::npos);
  fits.detail += 'd';
  const auto cut = next_line(fits, now, head);
  EXPECT_EQ(cut.find(fits.detail), std::string::npos);
  EXPECT_NE(cut.find(R"(ddd...",)"), std::string::npos);
}

TEST_F(audit_chain, every_changed_byte_of_a_line_is_found) {
  chain_head head;
  head.sequence = 41;
  head.hash.fill(3);
  const auto line = next_line(record("x"), now, head);
  const std::string good(without_feed(line));
  ASSERT_TRUE(read_line(good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto changed = good;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(read_line(changed)) << i;
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(read_line(std::string_view(good).substr(0, size))) << size;
  EXPECT_FALSE(read_line(good + " "));
}

TEST_F(audit_chain, a_whole_file_verifies) {
  write(chain_of(50));
  const auto found = verify_file(file);
  ASSERT_TRUE(found) << found.failure().message;
  EXPECT_EQ(found->lines, 50U);
  EXPECT_EQ(found->before, chain_head{});
  EXPECT_EQ(found->last.sequence, 50U);
  EXPECT_TRUE(verify_file(file, chain_head{}));
  EXPECT_FALSE(verify_file(file, chain_head{1, {}}));
  EXPECT_EQ(verify_file(directory / "none").failure().code, errc::not_found);
}

TEST_F(audit_chain, removed_inserted_swapped_and_rewritten_lines_are_found) {
  std::vector<std::string> lines;
  chain_head head;
  for (int i = 0; i < 5; ++i)
    lines.push_back(next_line(record("action-" + std::to_string(i)), now + i, head));
  const auto join = [](const std::vector<std::string>& parts) {
    std::string all;
    for (const auto& part : parts)
      all += part;
    return all;
  };
  auto changed = lines;
  changed.erase(changed.begin() + 2);
  write(join(changed));
  EXPECT_NE(failure().find("line 3"), std::string::npos);
  changed = lines;
  std::swap(changed[1], changed[2]);
  write(join(changed));
  EXPECT_NE(failure().find("line 2"), std::string::npos);
  changed = lines;
  changed.insert(changed.begin() + 3, lines[2]);
  write(join(changed));
  EXPECT_NE(failure().find("line 4"), std::string::npos);
  // A line made anew, with a hash of its own that holds: the next one knows better.
  changed = lines;
  chain_head forged{2, read_line(without_feed(lines[1]))->head.hash};
  changed[2] = next_line(record("nothing happened"), now, forged);
  write(join(changed));
  EXPECT_NE(failure().find("line 4"), std::string::npos);
  changed = lines;
  changed.back().pop_back();
  write(join(changed));
  EXPECT_NE(failure().find("not finished"), std::string::npos);
  write(std::string(line_bytes_max + 100, 'x'));
  EXPECT_NE(failure().find("too long"), std::string::npos);
}

} // namespace
} // namespace custos::audit
