#include "adapters/eventlog/signature_list.hpp"

#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <gtest/gtest.h>

namespace custos::eventlog {
namespace {

using namespace test;

constexpr efi_guid owner{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
constexpr std::size_t list_size_at = 16;
constexpr std::size_t header_size_at = 20;
constexpr std::size_t signature_size_at = 24;
constexpr std::size_t header_bytes = 28;

bytes hashes(std::size_t count) {
  std::vector<bytes> all;
  for (std::size_t i = 0; i < count; ++i)
    all.emplace_back(32, static_cast<std::uint8_t>(i));
  return make_signature_list(signature_kind::sha256, owner, all);
}

bytes certificate(std::size_t size) {
  return make_signature_list(signature_kind::x509, owner,
                             std::vector<bytes>{bytes(size, std::uint8_t{0x30})});
}

bytes joined(std::initializer_list<bytes> parts) {
  bytes out;
  for (const auto& p : parts)
    out.insert(out.end(), p.begin(), p.end());
  return out;
}

bytes with_u32(bytes list, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    list.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
  return list;
}

void refused(const bytes& data, const std::string& why) {
  const auto lists = parse_signature_lists(data);
  ASSERT_FALSE(lists) << why;
  EXPECT_NE(lists.failure().message.find(why), std::string::npos) << lists.failure().message;
}

TEST(SignatureList, ReadsCertificatesAndHashesInTheirOrder) {
  const auto data = joined({certificate(100), hashes(2), certificate(1)});
  const auto lists = parse_signature_lists(data);
  ASSERT_TRUE(lists) << lists.failure().message;
  ASSERT_EQ(lists->signatures.size(), 4U);
  EXPECT_EQ(lists->others, 0U);
  EXPECT_EQ(lists->signatures[0].kind, signature_kind::x509);
  EXPECT_EQ(lists->signatures[0].data.size(), 100U);
  EXPECT_EQ(to_bytes(lists->signatures[0].owner), bytes(owner.begin(), owner.end()));
  EXPECT_EQ(lists->signatures[2].kind, signature_kind::sha256);
  EXPECT_EQ(to_bytes(lists->signatures[2].data), bytes(32, 1));
  EXPECT_EQ(lists->signatures[3].data.size(), 1U);
}

TEST(SignatureList, NothingIsNoList) {
  const auto lists = parse_signature_lists({});
  ASSERT_TRUE(lists);
  EXPECT_TRUE(lists->signatures.empty());
}

TEST(SignatureList, OtherTypesAreCountedAndSkipped) {
  auto rsa = hashes(3);
  rsa[0] ^= 1;
  // A type that we do not know may have a header of its own.
  auto own_header = with_u32(hashes(2), header_size_at, 48);
  own_header[5] ^= 1;
  const auto data = joined({rsa, hashes(1), own_header});
  const auto lists = parse_signature_lists(data);
  ASSERT_TRUE(lists) << lists.failure().message;
  EXPECT_EQ(lists->signatures.size(), 1U);
  EXPECT_EQ(lists->others, 4U);
}

// go-attestation becfd07: a size of 0 divided by, or never moving on.
TEST(SignatureList, GoAttestationBecfd07SignatureSizeOfZero) {
  for (const auto& list : {hashes(2), certificate(64)}) {
    refused(with_u32(list, signature_size_at, 0), "SignatureSize leaves no room");
    auto unknown = with_u32(list, signature_size_at, 0);
    unknown[0] ^= 1;
    refused(unknown, "SignatureSize leaves no room");
    refused(with_u32(list, list_size_at, 0), "SignatureListSize is smaller");
  }
}

// go-attestation f877374: sizes beyond what is there.
TEST(SignatureList, GoAttestationF877374SizesLargerThanTheData) {
  for (const auto& list : {hashes(2), certificate(64)}) {
    const auto size = static_cast<std::uint32_t>(list.size());
    for (const std::uint32_t beyond : {size + 1, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU})
      refused(with_u32(list, list_size_at, beyond), "SignatureListSize is larger");
    for (const std::uint32_t beyond : {size + 1, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
      refused(with_u32(list, header_size_at, beyond), "SignatureHeaderSize is larger");
      EXPECT_FALSE(parse_signature_lists(with_u32(list, signature_size_at, beyond)));
    }
  }
}

// go-attestation b6e905e: sizes that leave less than nothing behind what is subtracted.
TEST(SignatureList, GoAttestationB6e905eSizesSmallerThanTheirHeaders) {
  const auto list = certificate(64);
  for (std::uint32_t size = 0; size < header_bytes; ++size)
    refused(with_u32(list, list_size_at, size), "SignatureListSize is smaller");
  for (std::uint32_t size = 0; size <= owner_bytes; ++size)
    refused(with_u32(list, signature_size_at, size), "SignatureSize leaves no room");
  auto unknown = with_u32(list, header_size_at, static_cast<std::uint32_t>(list.size() - 27));
  unknown[0] ^= 1;
  refused(unknown, "SignatureHeaderSize is larger");
}

TEST(SignatureList, KnownTypesHaveNoHeader) {
  refused(with_u32(hashes(2), header_size_at, 48), "SignatureHeaderSize is not 0");
  refused(with_u32(certificate(64), header_size_at, 1), "SignatureHeaderSize is not 0");
}

TEST(SignatureList, AHashHasItsLength) {
  refused(with_u32(hashes(2), signature_size_at, 96), "SignatureSize is not 48");
  refused(with_u32(hashes(2), signature_size_at, 32), "SignatureSize is not 48");
}

TEST(SignatureList, EverySignatureIsWhole) {
  refused(with_u32(certificate(64), signature_size_at, 79), "does not divide");
  auto longer = hashes(2);
  longer.push_back(0);
  refused(longer, "shorter than its header");
  refused(with_u32(longer, list_size_at, static_cast<std::uint32_t>(longer.size())),
          "does not divide");
}

TEST(SignatureList, TruncationAtEveryByte) {
  const auto whole = joined({certificate(40), hashes(2)});
  const auto first = certificate(40).size();
  for (std::size_t size = 1; size < whole.size(); ++size)
    EXPECT_EQ(parse_signature_lists(byte_view(whole).first(size)).ok(), size == first) << size;
}

TEST(SignatureList, EveryBitOfTheSizesCounts) {
  const auto whole = joined({hashes(3), certificate(50)});
  for (std::size_t bit = list_size_at * 8; bit < header_bytes * 8; ++bit) {
    auto flipped = whole;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_FALSE(parse_signature_lists(flipped)) << bit;
  }
}

TEST(SignatureList, HasALimit) {
  EXPECT_TRUE(parse_signature_lists(hashes(signatures_max)));
  const auto too_many = hashes(signatures_max + 1);
  const auto lists = parse_signature_lists(too_many);
  ASSERT_FALSE(lists);
  EXPECT_EQ(lists.failure().code, errc::too_large);
  auto unknown = too_many;
  unknown[0] ^= 1;
  EXPECT_FALSE(parse_signature_lists(unknown));
}

/// A variable of a recorded log that holds signature lists: PK, KEK, db, dbx.
struct recorded_lists {
  std::string where; ///< file and event
  bytes data;
};

std::vector<recorded_lists> all_recorded_lists() {
  std::vector<recorded_lists> out;
  for (const auto& file : all_logs()) {
    const auto log = read_data(file);
    const auto parsed = parse(log);
    EXPECT_TRUE(parsed) << file;
    for (const auto& e : parsed->events) {
      if (e.pcr != 7 || e.type != event_type::efi_variable_driver_config)
        continue;
      const auto variable = parse_uefi_variable(e.data);
      EXPECT_TRUE(variable) << file;
      if (variable->name != "SecureBoot")
        out.push_back({file + " event " + std::to_string(e.index), to_bytes(variable->data)});
    }
  }
  return out;
}

TEST(SignatureList, ReadsTheVariablesOfEveryRecordedLog) {
  const auto all = all_recorded_lists();
  std::size_t most = 0;
  for (const auto& [where, data] : all) {
    const auto lists = parse_signature_lists(data);
    ASSERT_TRUE(lists) << where << ": " << lists.failure().message;
    EXPECT_EQ(lists->others, 0U);
    EXPECT_EQ(lists->signatures.empty(), data.empty()) << where;
    most = std::max(most, lists->signatures.size());
  }
  EXPECT_EQ(all.size(), 76U);
  EXPECT_EQ(most, 460U); // two certificates, 267 and 191 hashes
}

// go-attestation#500 and its like, on what firmware really writes.
TEST(SignatureList, SizesAtTheirExtremesInEveryListOfEveryRecordedLog) {
  std::size_t lists = 0;
  const auto u32_at = [](byte_view in, std::size_t at) {
    return std::uint32_t{in[at]} | std::uint32_t{in[at + 1]} << 8 |
           std::uint32_t{in[at + 2]} << 16 | std::uint32_t{in[at + 3]} << 24;
  };
  for (const auto& [where, whole] : all_recorded_lists())
    for (std::size_t start = 0; start < whole.size();
         start += u32_at(whole, start + list_size_at), ++lists)
      for (const auto field : {list_size_at, header_size_at, signature_size_at}) {
        const auto right = u32_at(whole, start + field);
        for (const std::uint32_t value : {0U, 1U, 15U, 16U, right - 1, right + 1, 0x7FFFFFFFU,
                                          0x80000000U, 0xFFFFFFFEU, 0xFFFFFFFFU})
          if (value != right) {
            EXPECT_FALSE(parse_signature_lists(with_u32(whole, start + field, value)))
                << where << " list at " << start << " field " << field << ": " << value;
          }
      }
  EXPECT_GT(lists, 100U);
}

TEST(SignatureList, TruncationAtEveryByteOfARecordedDbx) {
  const auto log = read_data(logs_dir + "debian-10.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  const auto dbx = parse_uefi_variable(parsed->events.at(6).data);
  ASSERT_TRUE(dbx);
  ASSERT_EQ(dbx->name, "dbx");
  std::vector<std::size_t> whole;
  for (std::size_t size = 0; size <= dbx->data.size(); ++size)
    if (parse_signature_lists(dbx->data.first(size)))
      whole.push_back(size);
  EXPECT_EQ(whole, (std::vector<std::size_t>{0, 1104, 2312, 3124, 11936}));
}

} // namespace
} // namespace custos::eventlog
