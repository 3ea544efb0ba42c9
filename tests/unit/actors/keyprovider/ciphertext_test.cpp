#include "actors/keyprovider/ciphertext.hpp"

#include "tests/unit/test_data.hpp"

#include <gtest/gtest.h>
#include <sstream>

namespace custos::keyprovider {
namespace {

crypto::secret_bytes secret(std::size_t size, std::uint8_t seed) {
  crypto::secret_bytes s(size);
  for (std::size_t i = 0; i < size; ++i)
    s.writable_secret()[i] = static_cast<std::uint8_t>(seed + i);
  return s;
}

const bytes& context() {
  static const bytes c = to_bytes("host-7/volume-3");
  return c;
}

ciphertext_identity identity(wrap_algorithm algorithm) {
  ciphertext_identity id;
  id.algorithm = algorithm;
  id.provider = "vault";
  id.primary_key_id = "pk-1";
  id.nonce.fill(7);
  id.context_hash = crypto::sha256(context());
  return id;
}

wrapped_key wrapped_of(wrap_algorithm algorithm) {
  switch (algorithm) {
  case wrap_algorithm::local_kwp:
    return {{}, bytes(40, 1), {}};
  case wrap_algorithm::remote_gcm:
    return {bytes(12, 2), bytes(32, 3), bytes(16, 4)};
  case wrap_algorithm::remote_cbc:
    return {bytes(16, 5), bytes(48, 6), {}};
  }
  return {};
}

bytes sealed(wrap_algorithm algorithm = wrap_algorithm::local_kwp, std::size_t key_bytes = 32) {
  auto s = seal_key(identity(algorithm), wrapped_of(algorithm), secret(32, 9), context(),
                    secret(key_bytes, 100));
  EXPECT_TRUE(s) << s.failure().message;
  return *s;
}

error parse_error(byte_view raw) {
  const auto parsed = parse_ciphertext(raw);
  EXPECT_FALSE(parsed);
  return parsed ? error{} : parsed.failure();
}

class every_algorithm : public ::testing::TestWithParam<wrap_algorithm> {};

TEST_P(every_algorithm, opens_to_the_same_key) {
  for (const std::size_t size : {16U, 32U, 48U, 64U}) {
    const auto raw = sealed(GetParam(), size);
    const auto parsed = parse_ciphertext(raw);
    ASSERT_TRUE(parsed) << parsed.failure().message;
    EXPECT_EQ(parsed->identity.algorithm, GetParam());
    EXPECT_EQ(parsed->identity.provider, "vault");
    EXPECT_EQ(parsed->identity.primary_key_id, "pk-1");
    EXPECT_EQ(parsed->identity.primary_key_version, 1U);
    EXPECT_EQ(parsed->wrapped.ciphertext, wrapped_of(GetParam()).ciphertext);
    const auto key = open_key(*parsed, context(), secret(32, 9));
    ASSERT_TRUE(key) << key.failure().message;
    EXPECT_TRUE(crypto::equal(key->reveal_secret(), secret(size, 100).reveal_secret()));
  }
}

/// The fresh key stays what it was: what is tested is that no byte of the ciphertext is malleable.
TEST_P(every_algorithm, refuses_every_flipped_bit) {
  const auto raw = sealed(GetParam());
  for (std::size_t i = 0; i < raw.size(); ++i)
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto changed = raw;
      changed[i] = static_cast<std::uint8_t>(changed[i] ^ 1U << bit);
      const auto parsed = parse_ciphertext(changed);
      if (!parsed)
        continue;
      EXPECT_FALSE(open_key(*parsed, context(), secret(32, 9))) << "byte " << i << " bit " << bit;
    }
}

TEST_P(every_algorithm, refuses_every_truncation_and_anything_behind) {
  const auto raw = sealed(GetParam());
  for (std::size_t size = 0; size < raw.size(); ++size)
    EXPECT_EQ(parse_error(byte_view(raw).first(size)).code, errc::malformed) << size;
  auto longer = raw;
  longer.push_back(0);
  EXPECT_EQ(parse_error(longer).code, errc::malformed);
}

INSTANTIATE_TEST_SUITE_P(ciphertext, every_algorithm,
                         ::testing::Values(wrap_algorithm::local_kwp, wrap_algorithm::remote_gcm,
                                           wrap_algorithm::remote_cbc));

TEST(ciphertext, names_an_unknown_version_and_algorithm) {
  auto raw = sealed();
  raw[4] = 2;
  auto e = parse_error(raw);
  EXPECT_EQ(e.code, errc::unsupported);
  EXPECT_NE(e.message.find("version 2"), std::string::npos);
  for (const unsigned algorithm : {0U, 4U, 255U}) {
    raw = sealed();
    raw[5] = static_cast<std::uint8_t>(algorithm);
    e = parse_error(raw);
    EXPECT_EQ(e.code, errc::unsupported);
    EXPECT_NE(e.message.find("algorithm " + std::to_string(algorithm)), std::string::npos);
  }
}

TEST(ciphertext, refuses_lengths_of_another_algorithm) {
  auto raw = sealed(wrap_algorithm::remote_gcm);
  raw[5] = static_cast<std::uint8_t>(wrap_algorithm::remote_cbc);
  EXPECT_EQ(parse_error(raw).code, errc::malformed);
  raw = sealed(wrap_algorithm::local_kwp);
  raw[5] = static_cast<std::uint8_t>(wrap_algorithm::remote_gcm);
  EXPECT_EQ(parse_error(raw).code, errc::malformed);
}

TEST(ciphertext, refuses_what_is_too_large) {
  EXPECT_EQ(parse_error(bytes(kek_ciphertext_bytes_max + 1)).code, errc::too_large);
}

TEST(ciphertext, refuses_primary_key_version_0) {
  auto raw = sealed();
  const std::size_t at = 4 + 1 + 1 + 1 + 5 + 2 + 4; // behind magic ... "vault" ... "pk-1"
  ASSERT_EQ(raw[at + 3], 1);
  raw[at + 3] = 0;
  EXPECT_EQ(parse_error(raw).code, errc::malformed);
}

TEST(ciphertext, is_bound_to_its_context) {
  const auto parsed = parse_ciphertext(sealed());
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(check_context(*parsed, context()));
  EXPECT_FALSE(check_context(*parsed, to_bytes("host-8/volume-3")));
  EXPECT_FALSE(check_context(*parsed, {}));
  // Even if somebody brings the hash of another context into the header, the body knows.
  auto other = *parsed;
  other.identity.context_hash = crypto::sha256(as_bytes("other"));
  EXPECT_FALSE(open_key(other, to_bytes("other"), secret(32, 9)));
}

TEST(ciphertext, is_bound_to_its_provider_and_primary_key) {
  const auto parsed = parse_ciphertext(sealed());
  ASSERT_TRUE(parsed);
  auto other = *parsed;
  other.identity.provider = "vaulu";
  EXPECT_FALSE(open_key(other, context(), secret(32, 9)));
  other = *parsed;
  other.identity.primary_key_id = "pk-2";
  EXPECT_FALSE(open_key(other, context(), secret(32, 9)));
  other = *parsed;
  other.identity.primary_key_version = 2;
  EXPECT_FALSE(open_key(other, context(), secret(32, 9)));
}

TEST(ciphertext, tells_nothing_but_that_it_does_not_decrypt) {
  const auto parsed = parse_ciphertext(sealed());
  ASSERT_TRUE(parsed);
  const auto wrong_key = open_key(*parsed, context(), secret(32, 10));
  const auto wrong_size = open_key(*parsed, context(), secret(31, 9));
  ASSERT_FALSE(wrong_key);
  ASSERT_FALSE(wrong_size);
  EXPECT_EQ(wrong_key.failure().message, does_not_decrypt().message);
  EXPECT_EQ(wrong_size.failure().message, does_not_decrypt().message);
  EXPECT_EQ(wrong_key.failure().code, errc::crypto_failure);
}

TEST(ciphertext, is_not_made_of_what_cannot_be_read_again) {
  const auto fails = [](const ciphertext_identity& id, const wrapped_key& w, std::size_t fresh,
                        std::size_t key) {
    return !seal_key(id, w, secret(fresh, 1), context(), secret(key, 2)).ok();
  };
  const auto good = identity(wrap_algorithm::remote_gcm);
  const auto wrapped = wrapped_of(wrap_algorithm::remote_gcm);
  EXPECT_FALSE(fails(good, wrapped, 32, 32));
  EXPECT_TRUE(fails(good, wrapped, 31, 32));
  EXPECT_TRUE(fails(good, wrapped, 32, 15));
  EXPECT_TRUE(fails(good, wrapped, 32, 65));
  EXPECT_TRUE(fails(good, wrapped_of(wrap_algorithm::remote_cbc), 32, 32));
  auto bad = good;
  bad.provider.clear();
  EXPECT_TRUE(fails(bad, wrapped, 32, 32));
  bad.provider = std::string(provider_name_bytes_max + 1, 'p');
  EXPECT_TRUE(fails(bad, wrapped, 32, 32));
  bad = good;
  bad.primary_key_id = std::string(primary_key_id_bytes_max + 1, 'p');
  EXPECT_TRUE(fails(bad, wrapped, 32, 32));
  bad = good;
  bad.algorithm = static_cast<wrap_algorithm>(4);
  EXPECT_TRUE(fails(bad, wrapped, 32, 32));
}

// ---- vectors ------------------------------------------------------------------------------------

struct vector_row {
  std::string name, provider, primary_key_id;
  unsigned algorithm = 0;
  std::uint32_t version = 0;
  bytes primary, fresh, context, key, ciphertext;
};

bytes unhex(const std::string& text) {
  if (text == "-")
    return {};
  auto raw = crypto::from_hex(text);
  EXPECT_TRUE(raw) << text;
  return raw ? *raw : bytes{};
}

/// The cells of each line that is no comment.
std::vector<std::vector<std::string>> table(const std::string& file, std::size_t columns) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(test::read_text(file));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#"))
      continue;
    std::vector<std::string> cell(1);
    for (const char c : line)
      if (c == '\t')
        cell.emplace_back();
      else
        cell.back() += c;
    EXPECT_EQ(cell.size(), columns) << line;
    if (cell.size() == columns)
      rows.push_back(std::move(cell));
  }
  return rows;
}

std::vector<vector_row> vectors() {
  std::vector<vector_row> rows;
  for (const auto& cell : table("ciphertext/v1.tsv", 10))
    rows.push_back({cell[0], cell[2], cell[3], static_cast<unsigned>(std::stoul(cell[1])),
                    static_cast<std::uint32_t>(std::stoul(cell[4])), unhex(cell[5]), unhex(cell[6]),
                    unhex(cell[7]), unhex(cell[8]), unhex(cell[9])});
  return rows;
}

/// The fresh key as the key server, or we, would unwrap it.
result<crypto::secret_bytes> unwrap(const kek_ciphertext& c, byte_view primary) {
  switch (c.identity.algorithm) {
  case wrap_algorithm::local_kwp:
    return crypto::aes_kwp_unwrap(primary, c.wrapped.ciphertext);
  case wrap_algorithm::remote_cbc:
    return crypto::aes_cbc_decrypt(primary, c.wrapped.iv, c.wrapped.ciphertext);
  case wrap_algorithm::remote_gcm:
    break;
  }
  CUSTOS_TRY(const auto aad, identity_bytes(c.identity));
  return crypto::aes256_gcm_open(primary, c.wrapped.iv, aad, c.wrapped.ciphertext, c.wrapped.tag);
}

TEST(ciphertext, opens_the_vectors_of_version_1) {
  const auto rows = vectors();
  ASSERT_EQ(rows.size(), 8U);
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto parsed = parse_ciphertext(row.ciphertext);
    ASSERT_TRUE(parsed) << parsed.failure().message;
    EXPECT_EQ(static_cast<unsigned>(parsed->identity.algorithm), row.algorithm);
    EXPECT_EQ(parsed->identity.provider, row.provider);
    EXPECT_EQ(parsed->identity.primary_key_id, row.primary_key_id);
    EXPECT_EQ(parsed->identity.primary_key_version, row.version);
    const crypto::secret_bytes fresh{byte_view(row.fresh)};
    // Our own GCM takes nonces of 96 bits only; a key server may choose longer ones.
    if (row.algorithm != 2 || parsed->wrapped.iv.size() == nonce_bytes) {
      const auto unwrapped = unwrap(*parsed, row.primary);
      ASSERT_TRUE(unwrapped) << unwrapped.failure().message;
      EXPECT_TRUE(crypto::equal(unwrapped->reveal_secret(), row.fresh));
    }
    const auto key = open_key(*parsed, row.context, fresh);
    ASSERT_TRUE(key) << key.failure().message;
    EXPECT_TRUE(crypto::equal(key->reveal_secret(), row.key));
    // Canonical: the same content gives the same bytes.
    const auto again = seal_key(parsed->identity, parsed->wrapped, fresh, row.context, *key);
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, row.ciphertext);
  }
}

/// What opening says, as the table writes it: the error and, for a context, the field.
std::string verdict(const bytes& raw, const bytes& primary, const bytes& fresh,
                    const bytes& context) {
  const auto told = [](const error& e) {
    return std::string(to_string(e.code)) + (e.field == "context" ? " context" : "");
  };
  const auto parsed = parse_ciphertext(raw);
  if (!parsed)
    return told(parsed.failure());
  if (auto bound = check_context(*parsed, context); !bound)
    return told(bound.failure());
  const auto unwrapped = unwrap(*parsed, primary);
  if (!unwrapped || unwrapped->size() != fresh_key_bytes) {
    // A key server that is deceived must not be enough: the body is opened all the same.
    const auto opened = open_key(*parsed, context, crypto::secret_bytes{byte_view(fresh)});
    return opened ? "open" : told(opened.failure());
  }
  const auto opened = open_key(*parsed, context, *unwrapped);
  return opened ? "open" : told(opened.failure());
}

TEST(ciphertext, refuses_damaged_vectors_as_every_release_must) {
  const auto rows = table("ciphertext/v1-damaged.tsv", 6);
  ASSERT_EQ(rows.size(), 100U);
  for (const auto& row : rows)
    EXPECT_EQ(verdict(unhex(row[5]), unhex(row[2]), unhex(row[3]), unhex(row[4])), row[1])
        << row[0];
}

} // namespace
} // namespace custos::keyprovider
