#include "cluster/backup/file.hpp"

#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"
#include "tests/unit/cluster/backup/samples.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>

namespace custos::backup {

namespace {

using cluster::test::self_signed;
using testing::HasSubstr;

/// Small files for one P-256 recipient, with any content.
class backup_file : public testing::Test {
protected:
  [[nodiscard]] std::string made(byte_view content) const { return made(content, {reader}); }
  [[nodiscard]] std::string made(byte_view content, const std::vector<addressee>& to) const {
    const std::array parts{content};
    auto out = make_file(about(), ca.key, to, parts);
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.failure().message);
    return out.ok() ? *out : std::string();
  }
  [[nodiscard]] description about() const {
    description out;
    out.id = std::string(32, 'a');
    out.name = "lab";
    out.cluster_id = std::string(32, 'b');
    out.revision = 7;
    out.fingerprint = std::string(64, 'c');
    out.created = timestamp(test::now);
    out.program = "custos 0";
    out.objects = {{"principals", 1}};
    out.signer = ca.cert;
    return out;
  }
  static result<crypto::wiped_bytes> opened(byte_view file, const opener& with) {
    CUSTOS_TRY(const auto taken, read_file(file));
    CUSTOS_TRY(const auto key, content_key_of(taken.head, with));
    return open_content(taken, key);
  }
  [[nodiscard]] result<crypto::wiped_bytes> opened(const std::string& file) const {
    return opened(as_bytes(file), reader);
  }

  cluster::test::made ca = self_signed("lab CA", true);
  crypto::key reader = crypto::generate_p256().value();
};

bytes pattern(std::size_t size) {
  bytes out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return out;
}

} // namespace

TEST_F(backup_file, gives_back_content_of_every_size) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, chunk_bytes - 1, chunk_bytes,
                                 chunk_bytes + 1, 3 * chunk_bytes, 3 * chunk_bytes + 17}) {
    const auto content = pattern(size);
    const auto file = made(content);
    const auto back = opened(file);
    ASSERT_TRUE(back.ok()) << size << ": " << back.failure().message;
    EXPECT_TRUE(crypto::equal(*back, content)) << size;
    EXPECT_EQ(file.size() - file.find('\n') - 1, sealed_size(size));
  }
}

TEST_F(backup_file, joins_the_parts_of_its_content) {
  const auto whole = pattern(2 * chunk_bytes + 5);
  const byte_view view(whole);
  const std::array parts{view.first(3), view.first(0), view.subspan(3, chunk_bytes),
                         view.subspan(3 + chunk_bytes)};
  const auto file = make_file(about(), ca.key, {reader}, parts);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(crypto::equal(opened(*file).value(), whole));
}

TEST_F(backup_file, begins_with_a_line_of_json) {
  const auto file = made(pattern(10));
  const auto line = std::string_view(file).substr(0, file.find('\n'));
  const auto parsed = json::parse_any(line);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(json::canonical(*parsed), line);
  const auto& said = parsed->as_object().at("about").as_object();
  EXPECT_EQ(said.at("kind").as_string(), "cluster");
  EXPECT_EQ(said.at("created").as_string(), "2025-06-15T15:06:40Z");
  EXPECT_EQ(said.at("revision").to_number<int>(), 7);
}

TEST_F(backup_file, opens_for_each_of_its_recipients_and_for_nobody_else) {
  const auto other = crypto::generate_p256().value();
  const auto content = pattern(100);
  const auto file = made(content, {reader, other, test::secret(test::phrase)});
  for (const opener& with : {opener(reader), opener(other), opener(test::secret(test::phrase))})
    EXPECT_TRUE(crypto::equal(opened(as_bytes(file), with).value(), content));
  const auto stranger = opened(as_bytes(file), crypto::generate_p256().value());
  ASSERT_FALSE(stranger.ok());
  EXPECT_EQ(stranger.failure().code, errc::forbidden);
  EXPECT_EQ(stranger.failure().field, "recipient-key");
  const auto guess = opened(as_bytes(file), test::secret("correct horse batterz"));
  ASSERT_FALSE(guess.ok());
  EXPECT_EQ(guess.failure().code, errc::forbidden);
  EXPECT_EQ(guess.failure().field, "passphrase");
}

TEST_F(backup_file, has_every_octet_covered) {
  const auto file = made(pattern(chunk_bytes + 100));
  const auto header = file.find('\n');
  const auto tried = [&](std::size_t at, unsigned bit) {
    auto changed = file;
    changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ (1U << bit));
    EXPECT_FALSE(opened(changed).ok()) << "octet " << at << " of " << header << ", bit " << bit;
  };
  for (std::size_t at = 0; at <= header; ++at)
    tried(at, static_cast<unsigned>(at % 8));
  for (std::size_t at = header + 1; at < file.size(); at += 997)
    tried(at, static_cast<unsigned>(at % 8));
  tried(file.size() - 1, 0);
}

TEST_F(backup_file, covers_recipients_that_are_not_used) {
  const auto file = made(pattern(5), {reader, test::secret(test::phrase)});
  auto head = read_file(as_bytes(file)).value().head;
  const auto rest = file.substr(file.find('\n') + 1);
  ASSERT_TRUE(opened(write_header(head) + rest).ok());
  head.recipients.at(1).salt.at(3) ^= 1U;
  const auto changed = opened(write_header(head) + rest);
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.failure().field, "/mac");
  head.recipients.pop_back();
  EXPECT_FALSE(opened(write_header(head) + rest).ok());
}

TEST_F(backup_file, notices_that_it_was_cut_off_or_grew) {
  const auto file = made(pattern(2 * chunk_bytes));
  for (const std::size_t size :
       {file.size() - 1, file.size() - chunk_bytes - chunk_tag_bytes, file.find('\n') + 1}) {
    const auto cut = opened(file.substr(0, size));
    ASSERT_FALSE(cut.ok());
    EXPECT_EQ(cut.failure().code, errc::corrupted);
    EXPECT_THAT(cut.failure().message, HasSubstr("cut off"));
  }
  EXPECT_FALSE(opened(file.substr(0, 20)).ok());
  EXPECT_FALSE(opened("").ok());
  EXPECT_EQ(opened(file + "x").failure().code, errc::corrupted);
}

TEST_F(backup_file, says_when_it_is_something_else) {
  EXPECT_EQ(opened("hello\nworld").failure().code, errc::malformed);
  EXPECT_EQ(opened(std::string(2 * header_bytes_max, 'x')).failure().code, errc::malformed);
  auto later = made(pattern(5));
  later.replace(later.find("custos-backup-1"), 15, "custos-backup-2");
  EXPECT_EQ(opened(later).failure().code, errc::unsupported);
}

TEST_F(backup_file, has_one_spelling_only) {
  const auto file = made(pattern(5));
  auto spaced = file;
  spaced.insert(1, " ");
  EXPECT_EQ(opened(spaced).failure().code, errc::malformed);
}

TEST_F(backup_file, asks_for_no_more_memory_than_the_format_says) {
  const auto file = made(pattern(5));
  auto head = read_file(as_bytes(file)).value().head;
  recipient costly;
  costly.salt = bytes(salt_bytes);
  costly.wrapped_key = bytes(40);
  head.recipients = {costly};
  auto changed = write_header(head) + file.substr(file.find('\n') + 1);
  ASSERT_TRUE(read_file(as_bytes(changed)).ok());
  changed.replace(changed.find("131072"), 6, "999999");
  const auto refused = read_file(as_bytes(changed));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, errc::unsupported);
  EXPECT_EQ(refused.failure().field, "/recipients/0/scrypt/n");
}

TEST_F(backup_file, gets_other_recipients_under_the_same_signature) {
  const auto content = pattern(chunk_bytes + 1);
  const auto file = made(content);
  const auto taken = read_file(as_bytes(file)).value();
  const auto key = content_key_of(taken.head, reader).value();
  const auto line = readdressed(taken.head, key, {test::secret(test::phrase)});
  ASSERT_TRUE(line.ok());
  const auto moved = *line + std::string(as_text(taken.sealed));
  EXPECT_TRUE(crypto::equal(opened(as_bytes(moved), test::secret(test::phrase)).value(), content));
  EXPECT_EQ(opened(moved).failure().field, "recipient-key");
  EXPECT_EQ(read_file(as_bytes(moved))->head.signature, taken.head.signature);
}

TEST_F(backup_file, is_signed_by_whom_it_names) {
  const auto file = made(pattern(5));
  auto head = read_file(as_bytes(file)).value().head;
  const auto rest = file.substr(file.find('\n') + 1);
  head.about.signer = self_signed("lab CA", true).cert;
  EXPECT_EQ(read_file(as_bytes(write_header(head) + rest)).failure().field, "/signature");
  head.about.signer = ca.cert;
  head.about.name = "another";
  EXPECT_EQ(read_file(as_bytes(write_header(head) + rest)).failure().field, "/signature");
}

TEST_F(backup_file, is_signed_with_any_kind_of_key_that_tls_has) {
  for (const auto& [key, algorithm] : {std::pair{crypto::generate_p384().value(), "ES384"},
                                       std::pair{crypto::generate_rsa(2048).value(), "PS256"}}) {
    crypto::certificate_request request;
    request.common_name = "signer";
    request.not_before = test::now;
    request.not_after = test::now + 60;
    auto described = about();
    described.signer = crypto::issue_certificate(request, key, key, nullptr).value();
    const std::array<byte_view, 1> parts{as_bytes("content")};
    const auto file = make_file(described, key, {reader}, parts);
    ASSERT_TRUE(file.ok()) << file.failure().message;
    EXPECT_TRUE(opened(*file).ok());
    EXPECT_THAT(*file, HasSubstr(algorithm));
  }
}

TEST_F(backup_file, takes_good_recipients_only) {
  const std::array<byte_view, 1> parts{as_bytes("content")};
  const auto field_of = [&](const addressee& to) {
    const auto file = make_file(about(), ca.key, {to}, parts);
    return file.ok() ? std::string("none") : file.failure().field;
  };
  EXPECT_EQ(field_of(crypto::generate_p384().value()), "recipient");
  EXPECT_EQ(field_of(test::secret("too short")), "passphrase");
  EXPECT_EQ(field_of(test::secret(std::string(1025, 'x'))), "passphrase");
  EXPECT_FALSE(make_file(about(), ca.key, {}, parts).ok());
  EXPECT_FALSE(make_file(about(), ca.key, std::vector<addressee>(9, reader), parts).ok());
  EXPECT_FALSE(make_file(about(), ca.key, {reader}, {}).ok());
}

// ---- chunks -------------------------------------------------------------------------------------

namespace {

constexpr std::size_t whole_chunk = chunk_bytes + chunk_tag_bytes;

/// Three chunks, the last one short, and the key.
struct sealed_chunks {
  bytes key = crypto::random_bytes(32);
  std::string octets;
  sealed_chunks() {
    const auto content = pattern(2 * chunk_bytes + 9);
    const std::array<byte_view, 1> parts{content};
    EXPECT_TRUE(seal_chunks(key, parts, octets).ok());
  }
  [[nodiscard]] bool opens(const std::string& changed) const {
    return open_chunks(key, as_bytes(changed)).ok();
  }
};

} // namespace

TEST(backup_chunks, open_in_their_order_only) {
  const sealed_chunks s;
  const auto first = s.octets.substr(0, whole_chunk);
  const auto second = s.octets.substr(whole_chunk, whole_chunk);
  const auto last = s.octets.substr(2 * whole_chunk);
  EXPECT_TRUE(s.opens(first + second + last));
  EXPECT_FALSE(s.opens(second + first + last));
  EXPECT_FALSE(s.opens(first + first + last));
  EXPECT_FALSE(s.opens(first + first + second + last));
  EXPECT_FALSE(s.opens(first + last));
  EXPECT_FALSE(s.opens(last));
}

TEST(backup_chunks, end_with_the_last_only) {
  const sealed_chunks s;
  EXPECT_FALSE(s.opens(s.octets.substr(0, whole_chunk)));
  EXPECT_FALSE(s.opens(s.octets.substr(0, 2 * whole_chunk)));
  EXPECT_FALSE(s.opens(s.octets.substr(0, 2 * whole_chunk + chunk_tag_bytes)));
  EXPECT_FALSE(s.opens(s.octets + s.octets));
  EXPECT_FALSE(s.opens(""));
}

} // namespace custos::backup
