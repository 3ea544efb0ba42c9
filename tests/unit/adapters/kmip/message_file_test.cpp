#include "adapters/kmip/message_file.hpp"

#include "tests/unit/adapters/kmip/vectors.hpp"
#include "tests/unit/test_data.hpp"

#include <gtest/gtest.h>

namespace custos::kmip {
namespace {

const char* const small = "42000d02000000040000000100000000";

bytes row(const std::string& name) {
  for (const auto& r : testing::table("malformed/malformed.tsv"))
    if (r.at(0) == name)
      return testing::unhex(r.at(3));
  ADD_FAILURE() << name;
  return {};
}

std::string complaint(byte_view file) {
  const auto r = read_message_file(file);
  EXPECT_FALSE(r.ok());
  return r.ok() ? "" : r.failure().message;
}

std::string complaint(const std::string& text) {
  return complaint(as_bytes(text));
}

bool begins(const std::string& text, const std::string& with) {
  return text.rfind(with, 0) == 0;
}

TEST(KmipMessageFile, LinesOfHexWithMarksAndComments) {
  const auto file = "# a comment\n\n> " + std::string(small) +
                    "\r\n<42000D02 00000004 00000002 00000000\n" + small;
  const auto read = read_message_file(as_bytes(file));
  ASSERT_TRUE(read.ok()) << read.failure().message;
  ASSERT_EQ(read->size(), 3U);
  EXPECT_EQ((*read)[0].mark, '>');
  EXPECT_EQ((*read)[0].line, 3U);
  EXPECT_EQ((*read)[1].mark, '<');
  EXPECT_EQ((*read)[1].item().as_integer().value(), 2);
  EXPECT_EQ((*read)[2].mark, 0);
  EXPECT_EQ((*read)[2].line, 5U);
}

TEST(KmipMessageFile, BinaryMessagesOneBehindTheOther) {
  bytes file = row("good-get");
  const auto first = file.size();
  const auto more = testing::unhex(small);
  file.insert(file.end(), more.begin(), more.end());
  const auto read = read_message_file(file);
  ASSERT_TRUE(read.ok()) << read.failure().message;
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].offset, 0U);
  EXPECT_EQ((*read)[0].item().name(), tag::response_message);
  EXPECT_EQ((*read)[1].offset, first);
  EXPECT_EQ((*read)[1].line, 0U);
}

TEST(KmipMessageFile, EveryVectorIsReadAndWrittenTheSame) {
  std::size_t count = 0;
  for (const char* folder : {"oasis-ttlv", "pykmip-0.10.0-capture", "vsphere-7.0.3-client"})
    for (const auto& path : testing::message_files(folder)) {
      const auto expected = testing::messages(path);
      const auto read = read_message_file(
          test::read_data(std::filesystem::relative(path, CUSTOS_TEST_DATA).string()));
      ASSERT_TRUE(read.ok()) << path << read.failure().message;
      ASSERT_EQ(read->size(), expected.size()) << path;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ttlv_writer w;
        write_item(w, (*read)[i].item());
        EXPECT_EQ(bytes((*read)[i].octets.begin(), (*read)[i].octets.end()), expected[i].message);
        const auto again = w.take();
        EXPECT_EQ(bytes(again.begin(), again.end()), expected[i].message) << path << " " << i;
        EXPECT_EQ((*read)[i].mark, expected[i].is_request ? '>' : '<');
        ++count;
      }
    }
  EXPECT_EQ(count, 840U + 256U + 18U);
}

struct wrong_message {
  const char* name;
  std::size_t offset;
  const char* expected;
};

TEST(KmipMessageFile, TheFirstWrongOctetIsNamed) {
  // Offsets into the rows of malformed.tsv: header of the message 0, of the Response Header 8,
  // Batch Count at 0x48, Batch Item at 0x58, Operation at 0x60, Result Status at 0x70.
  const wrong_message cases[] = {
      {"truncated-1", 1, "expected the 8 octets of a header"},
      {"truncated-16", 16, "expected a message of 280 octets"},
      {"truncated-279", 279, "expected a message of 280 octets"},
      {"len-over-limit", 4, "longer than the largest message"},
      {"type-00", 0x73, "expected an item type from 1 to 11, found 0"},
      {"type-ff", 0x73, "expected an item type"},
      {"int-len-8", 0x4c, "expected length 4 for Integer, found 8"},
      {"enum-len-3", 0x74, "expected length 4 for Enumeration, found 3"},
      {"pad-nonzero-int", 0x54, "expected padding of zeros"},
      {"child-overruns-parent", 0x5c, "which what holds it has left"},
  };
  for (const auto& c : cases) {
    const auto text = complaint(row(c.name));
    EXPECT_TRUE(begins(text, "offset " + std::to_string(c.offset) + ": "))
        << c.name << ": " << text;
    EXPECT_NE(text.find(c.expected), std::string::npos) << c.name << ": " << text;
  }
}

TEST(KmipMessageFile, OffsetsGoOnInTheNextMessage) {
  bytes file = testing::unhex(small);
  const auto wrong = row("enum-len-3");
  file.insert(file.end(), wrong.begin(), wrong.end());
  EXPECT_TRUE(begins(complaint(file), "offset 132: "));
  const auto text =
      std::string("# one\n").append(small).append("\n42000d02000000040000000100000001\n");
  EXPECT_TRUE(begins(complaint(text), "line 3, offset 15: "));
}

TEST(KmipMessageFile, WhatIsNoHexIsNamedByLineAndColumn) {
  EXPECT_TRUE(begins(complaint("hello"), "line 1, column 1: expected hex digits"));
  EXPECT_TRUE(begins(complaint(std::string(small) + "\n< 42 0g\n"), "line 2, column 7: "));
  EXPECT_TRUE(begins(complaint("4"), "line 1, column 2: expected a second hex digit"));
  EXPECT_TRUE(begins(complaint("> \n"), "line 1, offset 0: "));
  EXPECT_TRUE(begins(complaint(">> " + std::string(small)), "line 1, column 2: "));
  EXPECT_TRUE(begins(complaint("# nothing\n"), "expected at least one line"));
  EXPECT_TRUE(begins(complaint(""), "offset 0: "));
  EXPECT_TRUE(
      begins(complaint(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9)), "offset 0: "))
      << "a recording of TLS";
}

TEST(KmipMessageFile, SizeAndNumberAreLimited) {
  EXPECT_EQ(read_message_file(bytes(message_file_bytes_max + 1, 0x42)).failure().code,
            errc::too_large);
  const auto one = testing::unhex("4200200100000000");
  bytes many;
  for (std::size_t i = 0; i < file_messages_max; ++i)
    many.insert(many.end(), one.begin(), one.end());
  EXPECT_TRUE(read_message_file(many).ok());
  many.insert(many.end(), one.begin(), one.end());
  EXPECT_EQ(read_message_file(many).failure().code, errc::too_large);
}

} // namespace
} // namespace custos::kmip
