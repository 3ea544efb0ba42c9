#include "tests/unit/adapters/ima/lists.hpp"

#include <gtest/gtest.h>

namespace custos::ima {
namespace {

using namespace test;
using crypto::hash_alg;

error malformed(byte_view log, const limits& limit = {}) {
  const auto parsed = parse(log, limit);
  EXPECT_FALSE(parsed);
  if (parsed)
    return {};
  EXPECT_EQ(parsed.failure().check, "ima-log");
  return parsed.failure();
}

error malformed(const std::string& text) {
  return malformed(as_bytes(text));
}

const std::string hash_text(40, 'a');
const std::string digest_text = "sha256:" + std::string(64, 'b');

void set_u32(bytes& log, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    log.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}

TEST(ImaLog, ReadsRecordedLists) {
  const auto log = read_data(recorded_ima_logs[1]);
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed) << parsed.failure().message;
  EXPECT_TRUE(parsed->ascii);
  ASSERT_EQ(parsed->entries.size(), 2U);
  EXPECT_TRUE(parsed->entries[0].is_boot_aggregate());
  const auto& e = parsed->entries[1];
  EXPECT_EQ(e.index, 1U);
  EXPECT_EQ(e.kind, template_kind::ima_ng);
  EXPECT_EQ(e.path, "/data");
  EXPECT_EQ(e.hash(), hash_alg::sha256);
  EXPECT_EQ(crypto::hex(e.digest),
            "96d7fae8adb7286a419a88f78c13d35fb782d63df654b7db56f154765698b754");
}

// The template data is rebuilt octet for octet: only then does the hash in the list fit.
TEST(ImaLog, RecordedTemplateHashesAreThoseOfTheRebuiltData) {
  for (const auto& file : recorded_ima_logs) {
    const auto log = read_data(file);
    const auto parsed = parse(log);
    ASSERT_TRUE(parsed) << file << ": " << parsed.failure().message;
    ASSERT_EQ(parsed->entries.size(), 2U);
    EXPECT_FALSE(parsed->entries[1].violation);
    for (const auto& e : parsed->entries)
      EXPECT_TRUE(check_template_hash(e)) << file;
  }
}

TEST(ImaLog, BothFormsSayTheSame) {
  const auto w = every_template();
  const auto binary = parse(w.binary());
  const auto ascii = parse(as_bytes(w.ascii()));
  ASSERT_TRUE(binary) << binary.failure().message;
  ASSERT_TRUE(ascii) << ascii.failure().message;
  EXPECT_FALSE(binary->ascii);
  EXPECT_TRUE(ascii->ascii);
  ASSERT_EQ(binary->entries.size(), 9U);
  ASSERT_EQ(ascii->entries.size(), 9U);
  for (std::size_t i = 0; i < 9; ++i) {
    const auto& a = ascii->entries[i];
    const auto& b = binary->entries[i];
    EXPECT_EQ(a.kind, b.kind) << i;
    EXPECT_EQ(a.template_hash, b.template_hash) << i;
    EXPECT_EQ(to_bytes(a.template_data), to_bytes(b.template_data)) << i;
    EXPECT_EQ(a.algorithm, b.algorithm) << i;
    EXPECT_EQ(to_bytes(a.digest), to_bytes(b.digest)) << i;
    EXPECT_EQ(a.path, b.path) << i;
    EXPECT_EQ(to_bytes(a.signature), to_bytes(b.signature)) << i;
    EXPECT_EQ(a.violation, b.violation) << i;
    EXPECT_EQ(a.verity, b.verity) << i;
    EXPECT_TRUE(check_template_hash(a)) << i;
  }
}

TEST(ImaLog, ReadsEveryTemplate) {
  const auto w = every_template();
  const auto parsed = parse(w.binary());
  ASSERT_TRUE(parsed);
  const auto& e = parsed->entries;
  EXPECT_EQ(e[1].path, "/usr/bin/a_file");
  EXPECT_EQ(e[1].hash(), hash_alg::sha512);
  EXPECT_TRUE(e[2].signature.empty());
  EXPECT_EQ(e[3].signature.size(), 9U + 70U);
  EXPECT_EQ(e[4].kind, template_kind::ima_buf);
  EXPECT_TRUE(e[4].signature.empty());
  EXPECT_FALSE(e[5].verity);
  EXPECT_EQ(e[5].algorithm, "sha256");
  EXPECT_TRUE(e[6].verity);
  EXPECT_EQ(e[7].kind, template_kind::ima);
  EXPECT_EQ(e[7].hash(), hash_alg::sha1);
  EXPECT_TRUE(e[8].violation);
  EXPECT_EQ(to_string(e[4].kind), "ima-buf");
}

TEST(ImaLog, ReadsAppendedSignatures) {
  // d-ng, n-ng, sig, d-modsig, modsig; without a signature the last three are empty.
  const auto without = "10 " + hash_text + " ima-modsig " + digest_text + " /m.ko   \n";
  const auto with = "10 " + hash_text + " ima-modsig " + digest_text +
                    " /m.ko  sha256:" + std::string(64, 'c') + " 3082\n";
  const auto a = parse(as_bytes(without));
  ASSERT_TRUE(a) << a.failure().message;
  EXPECT_FALSE(a->entries[0].appended_signature);
  EXPECT_EQ(a->entries[0].path, "/m.ko");
  const auto b = parse(as_bytes(with));
  ASSERT_TRUE(b) << b.failure().message;
  EXPECT_TRUE(b->entries[0].appended_signature);
}

TEST(ImaLog, NumbersGoOnWhereAPartStarts) {
  const auto w = every_template();
  const auto parsed = parse(w.binary(), {}, 40);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->entries[0].index, 40U);
  EXPECT_EQ(parsed->entries[8].index, 48U);
  EXPECT_EQ(parse(w.binary(), {}, UINT32_MAX).failure().code, errc::too_large);
}

TEST(ImaLog, AnEmptyListHasNoEntries) {
  const auto parsed = parse({});
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->entries.empty());
}

/// Both forms of a list, and the recorded ones.
std::vector<bytes> with_recorded(const ima::writer& w) {
  std::vector<bytes> out{w.binary(), to_bytes(w.ascii())};
  for (const auto& file : recorded_ima_logs)
    out.push_back(read_data(file));
  return out;
}

// A list cut anywhere fails, or ends exactly behind one of its own entries.
TEST(ImaLog, TruncationAtEveryByte) {
  const auto w = every_template();
  for (const auto& log : with_recorded(w)) {
    const auto whole = parse(log);
    ASSERT_TRUE(whole);
    std::vector<std::uint32_t> starts;
    for (const auto& e : whole->entries)
      starts.push_back(e.offset);
    for (std::size_t n = 1; n < log.size(); ++n) {
      const auto cut = parse(byte_view(log).first(n));
      const auto at = std::find(starts.begin(), starts.end(), n);
      EXPECT_EQ(cut.ok(), at != starts.end()) << n;
      if (cut) {
        EXPECT_EQ(cut->entries.size(), static_cast<std::size_t>(at - starts.begin()));
      }
    }
  }
}

// A flipped bit is found by the parser, or changes the hash of the data, or the hash that is shown.
// Of a violation nothing is hashed.
TEST(ImaLog, EveryFlippedBitIsFoundOrChangesAHash) {
  ima::writer w;
  w.add_ng("/usr/bin/x", hash_alg::sha256, bytes(32, 1));
  w.add_sig("/usr/bin/y", hash_alg::sha256, bytes(32, 2),
            make_signature(hash_alg::sha256, 1, bytes(8, 3)));
  w.add_buf("kexec-cmdline", hash_alg::sha256, as_bytes("quiet"));
  w.add_ima("/old", bytes(20, 9));
  for (const auto& log : with_recorded(w)) {
    // The first entry of the recorded lists is a violation.
    const auto whole = parse(log);
    ASSERT_TRUE(whole);
    const std::size_t from = whole->entries[0].violation ? whole->entries[1].offset : 0;
    for (std::size_t bit = 8 * from; bit < 8 * log.size(); ++bit) {
      auto flipped = log;
      flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      const auto parsed = parse(flipped);
      const bool holds =
          parsed && std::all_of(parsed->entries.begin(), parsed->entries.end(),
                                [](const entry& e) { return check_template_hash(e).ok(); });
      EXPECT_FALSE(holds) << "bit " << bit;
    }
  }
}

TEST(ImaLog, LengthsAtTheirExtremes) {
  ima::writer w;
  w.add_ng("/x", hash_alg::sha256, bytes(32, 1));
  // Of the template's name, its data, its first and its second field.
  for (const std::size_t at : {24U, 34U, 38U, 82U}) {
    for (const std::uint32_t value : {0U, 1U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFEU, 0xFFFFFFFFU}) {
      auto log = w.binary();
      set_u32(log, at, value);
      EXPECT_FALSE(parse(log)) << at << ": " << value;
    }
  }
}

TEST(ImaLog, LimitsAreKept) {
  const auto w = every_template();
  EXPECT_EQ(malformed(w.binary(), {.log_bytes_max = w.binary().size() - 1}).code, errc::too_large);
  const auto many = malformed(w.binary(), {.entries_max = 8});
  EXPECT_EQ(many.code, errc::too_large);
  EXPECT_EQ(many.event, 8U);
  EXPECT_TRUE(parse(w.binary(), {.entries_max = 9}));
  EXPECT_EQ(malformed(w.binary(), {.field_bytes_max = 78}).code, errc::too_large);
}

TEST(ImaLog, AnotherTemplateIsUnsupportedAndNamed) {
  const auto e = malformed("10 " + hash_text + " ima-ng " + digest_text + " /x\n10 " + hash_text +
                           " evm-sig " + digest_text + " /x\n");
  EXPECT_EQ(e.code, errc::unsupported);
  EXPECT_EQ(e.event, 1U);
  EXPECT_NE(e.message.find("evm-sig"), std::string::npos) << e.message;
}

TEST(ImaLog, AnotherPcrIsUnsupported) {
  EXPECT_EQ(malformed("11 " + hash_text + " ima-ng " + digest_text + " /x\n").code,
            errc::unsupported);
  EXPECT_EQ(malformed(" 9 " + hash_text + " ima-ng " + digest_text + " /x\n").code,
            errc::unsupported);
  ima::writer w;
  w.add_ng("/x", hash_alg::sha256, bytes(32, 1));
  auto log = w.binary();
  log[0] = 16;
  EXPECT_EQ(malformed(log).code, errc::unsupported);
}

TEST(ImaLog, LinesThatNoKernelWrites) {
  const std::string start = "10 " + hash_text + " ima-ng ";
  for (const auto& line : {
           start + digest_text + " /x",                             // no end
           start + digest_text + "\n",                              // no path
           "1 " + hash_text + " ima-ng " + digest_text + " /x\n",   // PCR of one digit
           "010 " + hash_text + " ima-ng " + digest_text + " /x\n", // of three
           "10 " + std::string(40, 'A') + " ima-ng " + digest_text + " /x\n",
           "10 " + std::string(38, 'a') + " ima-ng " + digest_text + " /x\n",
           start + "sha256:" + std::string(62, 'b') + " /x\n",             // short digest
           start + "sha256:" + std::string(63, 'b') + " /x\n",             // half an octet
           start + "sha256 /x\n",                                          // no colon
           start + ":" + std::string(64, 'b') + " /x\n",                   // no algorithm
           start + "SHA256:" + std::string(64, 'b') + " /x\n",             // no such name
           start + "what:" + std::string(130, 'b') + " /x\n",              // 65 octets
           start + "what: /x\n",                                           // no digest
           start + digest_text + " /x" + std::string(1, '\0') + "y\n",     // zero octet
           "10 " + hash_text + " ima-sig " + digest_text + " /x\n",        // no third field
           "10 " + hash_text + " ima-sig " + digest_text + " /x 030\n",    // half an octet
           "10 " + hash_text + " ima-ngv2 " + digest_text + " /x\n",       // no type
           "10 " + hash_text + " ima-ngv2 other:" + digest_text + " /x\n", // unknown type
           "10 " + hash_text + " ima " + std::string(38, 'b') + " /x\n",   // 19 octets
           "10 " + hash_text + " ima " + std::string(40, 'b') + " /" + std::string(255, 'x') + "\n",
           std::string("\n"),
       })
    EXPECT_EQ(malformed(line).code, errc::malformed) << line;
  EXPECT_FALSE(parse(as_bytes("10  " + hash_text + " ima-ng " + digest_text + " /x\n")));
  EXPECT_TRUE(parse(as_bytes(start + digest_text + " /x\n")));
}

TEST(ImaLog, AnUnknownAlgorithmIsReadButHasNoHash) {
  const auto log = "10 " + hash_text + " ima-ng sm3:" + std::string(64, 'b') + " /x\n10 " +
                   hash_text + " ima-ng md5:" + std::string(32, 'b') + " /x\n";
  const auto parsed = parse(as_bytes(log));
  ASSERT_TRUE(parsed) << parsed.failure().message;
  EXPECT_EQ(parsed->entries[0].algorithm, "sm3");
  EXPECT_FALSE(parsed->entries[0].hash());
  EXPECT_FALSE(parsed->entries[1].hash());
}

// A path cannot end early: what is judged is what was hashed.
TEST(ImaLog, AZeroOctetWithinAPathIsRefused) {
  ima::writer w;
  w.add_ng(std::string_view("/usr/bin/good\0/tmp/evil", 23), hash_alg::sha256, bytes(32, 1));
  EXPECT_EQ(malformed(w.binary()).code, errc::malformed);
}

// A file's name may hold a line break and whatever looks like another entry.
TEST(ImaLog, ALineBreakInAPathDoesNotMakeEntries) {
  ima::writer good;
  good.add_ng("/usr/bin/good", hash_alg::sha256, bytes(32, 1));
  auto line = good.ascii();
  line.pop_back();
  ima::writer evil;
  evil.add_ng("/tmp/x\n" + line, hash_alg::sha256, bytes(32, 2));
  const auto binary = parse(evil.binary());
  ASSERT_TRUE(binary);
  EXPECT_EQ(binary->entries.size(), 1U);
  EXPECT_TRUE(check_template_hash(binary->entries[0]));
  const auto ascii = parse(as_bytes(evil.ascii()));
  EXPECT_TRUE(!ascii || !check_template_hash(ascii->entries[0]));
}

TEST(ImaLog, MessagesShowNoControlCharacters) {
  EXPECT_EQ(printable("/a\n\x1b[31m\xff"), "/a??[31m?");
  EXPECT_EQ(printable(std::string(300, 'x')).size(), 203U);
}

} // namespace
} // namespace custos::ima
