#include "actors/attestation/ima_check.hpp"

#include "adapters/ima/signature.hpp"
#include "tests/unit/adapters/ima/lists.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;

const bytes ak_name(34, 0x0B);
constexpr std::uint32_t boot_7 = 7;

bytes sha256_of(std::string_view content) {
  return crypto::digest(hash_alg::sha256, {as_bytes(content)});
}

ima_file listed(std::string path, std::string_view content) {
  return {.path = std::move(path), .digests = {sha256_of(content)}};
}

/// A host that has booted: PCRs 0-9 have values, and IMA has started.
class host {
public:
  explicit host(hash_alg bank = hash_alg::sha256, bool padded = false) : ima(bank, padded) {
    for (std::size_t pcr = 0; pcr < 10; ++pcr)
      pcrs_.emplace_back(crypto::digest_size(bank), static_cast<std::uint8_t>(pcr + 1));
    ima.boot_aggregate(aggregate(10));
  }

  kernel ima;

  [[nodiscard]] bytes aggregate(std::size_t n) const {
    bytes all;
    for (std::size_t pcr = 0; pcr < n; ++pcr)
      all.insert(all.end(), pcrs_[pcr].begin(), pcrs_[pcr].end());
    return crypto::digest(hash_alg::sha256, {all});
  }
  /// As quoted now; looks into this object.
  [[nodiscard]] quoted_bank quote() const {
    quoted_bank b;
    b.alg = ima.bank();
    b.mask = 0x7FF;
    for (std::size_t pcr = 0; pcr < 10; ++pcr)
      b.values.at(pcr) = pcrs_[pcr];
    b.values[10] = ima.value();
    return b;
  }
  [[nodiscard]] const bytes& log() const { return ima.log.binary(); }
  std::vector<bytes>& pcrs() { return pcrs_; }

private:
  std::vector<bytes> pcrs_;
};

/// What a verifier holds while it judges one list.
struct appraisal {
  ima_policy policy;
  std::array<quoted_bank, 1> banks{};
  ima_input input;
  std::optional<ima_state> state;

  explicit appraisal(const host& h, ima_policy p = {}) : policy(std::move(p)) {
    banks[0] = h.quote();
    input.log = h.log();
    input.banks = banks;
    input.ak_name = ak_name;
    input.reset_count = boot_7;
  }
  [[nodiscard]] result<ima_outcome> run() const { return check_ima(policy, input, state); }
};

/// Refused by check 17, at this entry.
error refused(const result<ima_outcome>& r, std::optional<std::uint32_t> event = {}) {
  EXPECT_FALSE(r);
  if (r)
    return {};
  EXPECT_EQ(r.failure().check, "ima-log") << r.failure().message;
  EXPECT_EQ(r.failure().event, event) << r.failure().message;
  return r.failure();
}

ima_policy three_files() {
  ima_policy p;
  p.files = {listed("/usr/bin/a", "a"), listed("/usr/bin/b", "b"), listed("/usr/bin/c", "c")};
  return p;
}

host after_two_files() {
  host h;
  h.ima.file("/usr/bin/a", as_bytes("a"));
  h.ima.file("/usr/bin/b", as_bytes("b"));
  return h;
}

// ---- files, buffers, ignored paths --------------------------------------------------------------

TEST(ImaCheck, EveryEntryListedIsAccepted) {
  const auto h = after_two_files();
  appraisal a(h, three_files());
  for (const bool ascii : {false, true}) {
    if (ascii)
      a.input.log = as_bytes(h.ima.log.ascii());
    const auto r = a.run();
    ASSERT_TRUE(r) << r.failure().message;
    EXPECT_EQ(r->judged, 3U);
    EXPECT_EQ(r->counts.listed, 3U);
    EXPECT_EQ(r->unjudged, 0U);
    EXPECT_EQ(r->state.entries, 3U);
    EXPECT_EQ(r->state.ak_name, ak_name);
    EXPECT_EQ(r->state.reset_count, boot_7);
  }
}

TEST(ImaCheck, AnUnknownFileIsRefusedWithItsPathAndEntry) {
  auto h = after_two_files();
  h.ima.file("/tmp/evil\n", as_bytes("evil"));
  const auto e = refused(appraisal(h, three_files()).run(), 3);
  EXPECT_NE(e.message.find("/tmp/evil?"), std::string::npos) << e.message;
  EXPECT_NE(e.message.find(crypto::hex(sha256_of("evil"))), std::string::npos) << e.message;
  EXPECT_FALSE(e.retryable);
  EXPECT_EQ(e.pcr, 10U);
}

TEST(ImaCheck, AKnownFileWithAnotherContentIsRefused) {
  host h;
  h.ima.file("/usr/bin/a", as_bytes("b"));
  const auto e = refused(appraisal(h, three_files()).run(), 1);
  EXPECT_NE(e.message.find("none of those the image lists for it"), std::string::npos);
}

TEST(ImaCheck, ADigestCountsOnlyForItsOwnPathAndKind) {
  host file;
  file.ima.file("kexec-cmdline", as_bytes("quiet"));
  ima_policy p = three_files();
  p.buffers = {listed("kexec-cmdline", "quiet")};
  refused(appraisal(file, p).run(), 1);
  host buffer;
  buffer.ima.extend(buffer.ima.log.add_buf("/usr/bin/a", hash_alg::sha256, as_bytes("a")));
  refused(appraisal(buffer, p).run(), 1);
}

TEST(ImaCheck, BuffersAreJudgedByDigest) {
  host h;
  h.ima.extend(h.ima.log.add_buf("kexec-cmdline", hash_alg::sha256, as_bytes("quiet")));
  ima_policy p = three_files();
  refused(appraisal(h, p).run(), 1);
  p.buffers = {listed("kexec-cmdline", "quiet")};
  EXPECT_TRUE(appraisal(h, p).run());
  p.buffers = {listed("kexec-cmdline", "noisy")};
  refused(appraisal(h, p).run(), 1);
  p.ignored = {"kexec-cmdline"};
  refused(appraisal(h, p).run(), 1);
}

TEST(ImaCheck, IgnoredPrefixesEndWithAComponent) {
  const auto judged = [](std::string_view path, std::string prefix) {
    host h;
    h.ima.file(path, as_bytes("?"));
    ima_policy p;
    p.ignored = {std::move(prefix)};
    return appraisal(h, p).run().ok();
  };
  EXPECT_TRUE(judged("/usr/bin/x", "/usr"));
  EXPECT_TRUE(judged("/usr/bin/x", "/usr/"));
  EXPECT_TRUE(judged("/usr/bin/x", "/usr/bin/x"));
  EXPECT_TRUE(judged("/usr", "/usr"));
  EXPECT_FALSE(judged("/usrlocal/x", "/usr"));
  EXPECT_FALSE(judged("/us", "/usr"));
  EXPECT_FALSE(judged("/usr/bin/x", "/usr/bin/x/y"));
  EXPECT_FALSE(judged("usr/bin/x", "/usr"));
  EXPECT_FALSE(judged("/usr/bin/x", "/"));
  EXPECT_FALSE(judged("x", "x"));
  // Old kernels show what was asked for, not what it resolved to.
  EXPECT_FALSE(judged("/usr/../tmp/evil", "/usr"));
  EXPECT_FALSE(judged("/usr/./x", "/usr"));
  EXPECT_FALSE(judged("/usr//x", "/usr"));
  EXPECT_FALSE(judged("/usr/", "/usr"));
}

TEST(ImaCheck, AnEmptyPolicyAcceptsNothing) {
  const host h;
  refused(appraisal(h).run());
  ima_policy only_empty_prefix;
  only_empty_prefix.ignored = {""};
  refused(appraisal(h, only_empty_prefix).run());
}

TEST(ImaCheck, ASignerThatIsNoKeyIsAnErrorOfThePolicy) {
  ima_policy p = three_files();
  p.signers = {bytes(20, 1)};
  const auto r = ima_index::build(p);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.failure().field, "/ima/signers/0");
}

// ---- weak digests -------------------------------------------------------------------------------

TEST(ImaCheck, Sha1DigestsOfFilesNeedToBeAllowed) {
  host h;
  const auto sha1 = crypto::digest(hash_alg::sha1, {as_bytes("a")});
  h.ima.extend(h.ima.log.add_ng("/usr/bin/a", hash_alg::sha1, sha1));
  ima_policy p;
  p.files = {{.path = "/usr/bin/a", .digests = {sha1}}};
  appraisal a(h, p);
  refused(a.run(), 1);
  a.input.allow_sha1 = true;
  EXPECT_TRUE(a.run());
}

TEST(ImaCheck, TheOldTemplateNeedsSha1ToBeAllowed) {
  host h;
  const auto sha1 = crypto::digest(hash_alg::sha1, {as_bytes("a")});
  h.ima.extend(h.ima.log.add_ima("/usr/bin/a", sha1));
  ima_policy p;
  p.files = {{.path = "/usr/bin/a", .digests = {sha1}}};
  p.ignored = {"/usr"};
  appraisal a(h, p);
  refused(a.run(), 1);
  a.input.allow_sha1 = true;
  EXPECT_TRUE(a.run());
}

TEST(ImaCheck, AnAlgorithmWeDoNotHaveIsRefusedUnlessThePathIsIgnored) {
  // A digest of 32 octets that is not SHA-256's must not be taken for one.
  host h;
  const auto digest = sha256_of("a");
  bytes data{36, 0, 0, 0, 's', 'm', '3', ':', 0};
  data.insert(data.end(), digest.begin(), digest.end());
  data[0] = static_cast<std::uint8_t>(data.size() - 4);
  const bytes path{11, 0, 0, 0, '/', 'u', 's', 'r', '/', 'b', 'i', 'n', '/', 'a', 0};
  data.insert(data.end(), path.begin(), path.end());
  const auto line = "10 " + crypto::hex(crypto::digest(hash_alg::sha1, {data})) +
                    " ima-ng sm3:" + crypto::hex(digest) + " /usr/bin/a\n";
  const auto log = h.ima.log.ascii() + line;
  h.ima.extend(data);
  ima_policy p = three_files();
  appraisal a(h, p);
  a.input.log = as_bytes(log);
  const auto e = refused(a.run(), 1);
  EXPECT_NE(e.message.find("sm3"), std::string::npos) << e.message;
  a.policy.ignored = {"/usr/bin"};
  EXPECT_TRUE(a.run());
}

TEST(ImaCheck, ASha1BankAloneDoesNotDecide) {
  host h(hash_alg::sha1);
  h.ima.file("/usr/bin/a", as_bytes("a"));
  appraisal a(h, three_files());
  const auto r = a.run();
  ASSERT_FALSE(r);
  EXPECT_EQ(r.failure().check, "pcr-selection");
  a.input.allow_sha1 = true;
  EXPECT_TRUE(a.run());
}

TEST(ImaCheck, PaddedBanksOfOldKernelsNeedSha1ToBeAllowed) {
  host h(hash_alg::sha256, true);
  h.ima.file("/usr/bin/a", as_bytes("a"));
  appraisal a(h, three_files());
  EXPECT_TRUE(refused(a.run()).retryable);
  a.input.allow_sha1 = true;
  const auto r = a.run();
  ASSERT_TRUE(r) << r.failure().message;
  ASSERT_EQ(r->state.aggregates.size(), 1U);
  EXPECT_EQ(r->state.aggregates[0].form, ima::extend_form::padded_sha1);
}

// ---- the list and PCR 10 ------------------------------------------------------------------------

TEST(ImaCheck, AListThatDoesNotLeadToPcr10IsRetryable) {
  const auto h = after_two_files();
  appraisal a(h, three_files());
  a.input.log = byte_view(h.log()).first(ima::parse(h.log())->entries[2].offset);
  const auto e = refused(a.run());
  EXPECT_TRUE(e.retryable);
  EXPECT_EQ(e.pcr, 10U);
}

TEST(ImaCheck, EntriesBehindTheQuoteAreNotJudged) {
  auto h = after_two_files();
  appraisal a(h, three_files());
  const bytes quoted = h.ima.value();
  a.banks[0].values[10] = quoted;
  h.ima.file("/tmp/later", as_bytes("later"));
  a.input.log = h.log();
  const auto r = a.run();
  ASSERT_TRUE(r) << r.failure().message;
  EXPECT_EQ(r->judged, 3U);
  EXPECT_EQ(r->unjudged, 1U);
  EXPECT_EQ(r->state.entries, 3U);
}

// What was run cannot be left out, renamed or moved.
TEST(ImaCheck, AListThatLeavesOutAnEntryIsRefused) {
  auto h = after_two_files();
  h.ima.file("/tmp/evil", as_bytes("evil"));
  h.ima.file("/usr/bin/c", as_bytes("c"));
  auto parsed = ima::parse(h.log());
  ASSERT_TRUE(parsed);
  bytes without = h.log();
  without.erase(without.begin() + parsed->entries[3].offset,
                without.begin() + parsed->entries[4].offset);
  appraisal a(h, three_files());
  a.input.log = without;
  refused(a.run());
}

TEST(ImaCheck, EveryFlippedBitIsRefused) {
  host h;
  h.ima.file("/usr/bin/a", as_bytes("a"));
  const auto policy = three_files();
  const auto index = ima_index::build(policy);
  ASSERT_TRUE(index);
  appraisal a(h, policy);
  for (const auto& log : {h.log(), to_bytes(h.ima.log.ascii())})
    for (std::size_t bit = 0; bit < 8 * log.size(); ++bit) {
      auto flipped = log;
      flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      a.input.log = flipped;
      EXPECT_FALSE(check_ima(*index, a.input, {})) << bit;
    }
}

TEST(ImaCheck, NoListOrAnEmptyPcrIsRefused) {
  const host h;
  appraisal none(h, three_files());
  none.input.log = {};
  refused(none.run());
  // IMA is off: no list at all, or any list, and PCR 10 at its reset value.
  const bytes reset(32, 0);
  appraisal off(h, three_files());
  off.banks[0].values[10] = reset;
  const auto e = refused(off.run());
  EXPECT_FALSE(e.retryable);
}

TEST(ImaCheck, LimitsAndMalformedListsKeepTheirCodes) {
  const auto h = after_two_files();
  appraisal a(h, three_files());
  a.input.limits.entries_max = 2;
  EXPECT_EQ(refused(a.run(), 2).code, errc::too_large);
  const bytes nonsense(40, 0x41);
  appraisal b(h, three_files());
  b.input.log = nonsense;
  EXPECT_EQ(refused(b.run(), 0).code, errc::malformed);
}

// ---- the boot aggregate -------------------------------------------------------------------------

TEST(ImaCheck, TheBootAggregateIsOverTheQuotedPcrs) {
  host h;
  appraisal a(h, three_files());
  EXPECT_TRUE(a.run());
  const bytes other(32, 0x55);
  for (const std::size_t pcr : {0U, 7U, 8U, 9U}) {
    a.banks[0] = h.quote();
    a.banks[0].values.at(pcr) = other;
    refused(a.run(), 0);
  }
  // Where they are not quoted, there is nothing to compare with.
  a.banks[0] = h.quote();
  a.banks[0].mask = 1U << 10;
  EXPECT_TRUE(a.run());
}

TEST(ImaCheck, OlderKernelsAggregateEightPcrs) {
  host h;
  kernel old;
  old.boot_aggregate(h.aggregate(8));
  appraisal a(h, three_files());
  a.banks[0].values[10] = old.value();
  a.input.log = old.log.binary();
  EXPECT_TRUE(a.run());
}

// systemd extends PCR 9 after IMA has started; the boot log has the value that IMA saw.
TEST(ImaCheck, Pcrs8And9MayHaveGoneOnSinceTheBoot) {
  host h;
  eventlog::replayed boot;
  auto& bank = boot.banks.emplace_back();
  bank.alg = hash_alg::sha256;
  for (std::size_t pcr = 8; pcr < 10; ++pcr)
    std::copy(h.pcrs()[pcr].begin(), h.pcrs()[pcr].end(), bank.values.at(pcr).begin());
  h.pcrs()[9] = bytes(32, 0x99);
  appraisal a(h, three_files());
  refused(a.run(), 0);
  a.input.boot = &boot;
  EXPECT_TRUE(a.run());
  // It speaks for 8 and 9 only.
  const bytes other(32, 0x55);
  a.banks[0].values[0] = other;
  refused(a.run(), 0);
}

TEST(ImaCheck, AZeroBootAggregateMeansThatImaSawNoTpm) {
  host h;
  kernel k;
  k.boot_aggregate(bytes(32, 0));
  appraisal a(h, three_files());
  a.banks[0].mask = 1U << 10;
  a.banks[0].values[10] = k.value();
  a.input.log = k.log.binary();
  refused(a.run(), 0);
}

TEST(ImaCheck, TheListStartsWithTheBootAggregate) {
  host h;
  kernel k;
  k.file("/usr/bin/a", as_bytes("a"));
  appraisal a(h, three_files());
  a.banks[0].values[10] = k.value();
  a.input.log = k.log.binary();
  refused(a.run(), 0);
}

// A file can be called so, too, and an ignored path does not help it.
TEST(ImaCheck, AFileNamedBootAggregateIsNoExcuse) {
  auto h = after_two_files();
  h.ima.file("boot_aggregate", as_bytes("evil"));
  ima_policy p = three_files();
  p.ignored = {"boot_aggregate", "/"};
  p.files.push_back(listed("boot_aggregate", "evil"));
  refused(appraisal(h, p).run(), 3);
}

TEST(ImaCheck, TheRecordedListsAreOfMachinesWithoutATpm) {
  // Their aggregates are no digests over PCRs that anybody has; what counts is that they replay.
  const auto log = read_data(recorded_ima_logs[1]);
  const auto parsed = ima::parse(log);
  ASSERT_TRUE(parsed);
  ima::aggregate pcr;
  for (const auto& e : parsed->entries)
    ima::extend(pcr, e);
  const host h;
  appraisal a(h);
  a.policy.files = {{.path = "/data", .digests = {to_bytes(parsed->entries[1].digest)}}};
  a.input.log = log;
  a.banks[0].values[10] = pcr.view();
  refused(a.run(), 0);
  a.banks[0].mask = 1U << 10;
  EXPECT_TRUE(a.run());
}

// ---- violations ---------------------------------------------------------------------------------

TEST(ImaCheck, AViolationIsRefused) {
  auto h = after_two_files();
  h.ima.extend(h.ima.log.add_violation("/usr/bin/a", hash_alg::sha256));
  const auto e = refused(appraisal(h, three_files()).run(), 3);
  EXPECT_NE(e.message.find("violation"), std::string::npos) << e.message;
}

// Only all ones are measured of a violation: the host can give it any path it likes.
TEST(ImaCheck, ThePathOfAViolationIsNotMeasuredAndExcusesNothing) {
  auto honest = after_two_files();
  honest.ima.extend(honest.ima.log.add_violation("/usr/bin/a", hash_alg::sha256));
  auto lying = after_two_files();
  lying.ima.extend(lying.ima.log.add_violation("/var/log/messages", hash_alg::sha256));
  ASSERT_EQ(honest.ima.value(), lying.ima.value());
  ima_policy p = three_files();
  p.ignored = {"/var/log"};
  appraisal a(honest, p);
  a.input.log = lying.log();
  refused(a.run(), 3);
}

// ---- signatures ---------------------------------------------------------------------------------

/// An ECDSA signature in DER, as evmctl makes it.
bytes ecdsa_der(const crypto::key& key, std::string_view content) {
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  std::size_t size = 0;
  bytes out(256);
  EXPECT_EQ(
      EVP_DigestSignInit_ex(context, nullptr, "SHA256", nullptr, nullptr, key.handle(), nullptr),
      1);
  size = out.size();
  const auto octets = as_bytes(content);
  EXPECT_EQ(EVP_DigestSign(context, out.data(), &size, octets.data(), octets.size()), 1);
  EVP_MD_CTX_free(context);
  out.resize(size);
  return out;
}

class ImaSignatures : public testing::Test {
protected:
  static const crypto::key& rsa() {
    static const auto key = crypto::generate_rsa(2048);
    return *key;
  }
  static const crypto::key& ec() {
    static const auto key = crypto::generate_p256();
    return *key;
  }
  static bytes rsa_xattr(std::string_view content) {
    return ima::make_signature(hash_alg::sha256, ima::key_id_of(rsa()),
                               *crypto::rsassa_sign(rsa(), hash_alg::sha256, as_bytes(content)));
  }
  static bytes ec_xattr(std::string_view content) {
    return ima::make_signature(hash_alg::sha256, ima::key_id_of(ec()), ecdsa_der(ec(), content));
  }
  static ima_policy both_signers() {
    ima_policy p;
    p.signers = {rsa().spki_der(), ec().spki_der()};
    return p;
  }
  /// One file "x" with this signature.
  static result<ima_outcome> judged(const bytes& xattr, const ima_policy& policy,
                                    hash_alg alg = hash_alg::sha256) {
    host h;
    h.ima.extend(h.ima.log.add_sig("/opt/x", alg, crypto::digest(alg, {as_bytes("x")}), xattr));
    return appraisal(h, policy).run();
  }
};

TEST_F(ImaSignatures, RsaAndP256KeysSign) {
  for (const auto& xattr : {rsa_xattr("x"), ec_xattr("x")}) {
    const auto r = judged(xattr, both_signers());
    ASSERT_TRUE(r) << r.failure().message;
    EXPECT_EQ(r->counts.by_signature, 1U);
    EXPECT_EQ(r->counts.listed, 1U);
  }
}

TEST_F(ImaSignatures, AnUnsignedFileOrOneOfAnotherSignerIsRefused) {
  refused(judged({}, both_signers()), 1);
  ima_policy only_ec = both_signers();
  only_ec.signers.erase(only_ec.signers.begin());
  const auto e = refused(judged(rsa_xattr("x"), only_ec), 1);
  EXPECT_NE(e.message.find("none of the image's signers"), std::string::npos) << e.message;
  EXPECT_TRUE(judged(ec_xattr("x"), only_ec));
}

TEST_F(ImaSignatures, ASignatureOfAnotherFileOrKeyDoesNotVerify) {
  for (const auto& xattr : {rsa_xattr("y"), ec_xattr("y")})
    refused(judged(xattr, both_signers()), 1);
  // Another key under the name of a signer.
  const auto stranger = crypto::generate_p256();
  ASSERT_TRUE(stranger);
  refused(
      judged(ima::make_signature(hash_alg::sha256, ima::key_id_of(ec()), ecdsa_der(*stranger, "x")),
             both_signers()),
      1);
  // RSA's octets under the name of the P-256 key.
  refused(judged(ima::make_signature(hash_alg::sha256, ima::key_id_of(ec()),
                                     byte_view(rsa_xattr("x")).subspan(9)),
                 both_signers()),
          1);
}

TEST_F(ImaSignatures, EveryFlippedBitOfASignatureIsRefused) {
  const auto policy = both_signers();
  for (const auto& good : {ec_xattr("x"), rsa_xattr("x")})
    for (std::size_t bit = 0; bit < 8 * good.size(); bit += 3) {
      auto xattr = good;
      xattr[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      EXPECT_FALSE(judged(xattr, policy)) << bit;
    }
}

TEST_F(ImaSignatures, TheHashOfTheSignatureIsThatOfTheDigest) {
  auto xattr = rsa_xattr("x");
  xattr[2] = 6; // SHA-512
  refused(judged(xattr, both_signers()), 1);
  refused(judged(rsa_xattr("x"), both_signers(), hash_alg::sha512), 1);
}

TEST_F(ImaSignatures, Version3IsRefusedClearly) {
  auto version = rsa_xattr("x");
  version[1] = 3;
  auto type = rsa_xattr("x");
  type[0] = 6;
  for (const auto& xattr : {version, type}) {
    const auto e = refused(judged(xattr, both_signers()), 1);
    EXPECT_NE(e.message.find("version 3"), std::string::npos) << e.message;
  }
}

TEST_F(ImaSignatures, AListedDigestNeedsNoSignature) {
  ima_policy p = both_signers();
  p.files = {listed("/opt/x", "x")};
  const auto r = judged(rsa_xattr("y"), p);
  ASSERT_TRUE(r) << r.failure().message;
  EXPECT_EQ(r->counts.by_signature, 0U);
}

// ---- going on where the last attestation ended --------------------------------------------------

/// Two files judged, a third behind them.
class ImaState : public testing::Test {
protected:
  ImaState() : h_(after_two_files()), policy_(three_files()) {
    const auto r = appraisal(h_, policy_).run();
    EXPECT_TRUE(r) << r.failure().message;
    state_ = r->state;
    judged_bytes_ = h_.log().size();
    h_.ima.file("/usr/bin/c", as_bytes("c"));
  }
  [[nodiscard]] byte_view rest() const { return byte_view(h_.log()).subspan(judged_bytes_); }
  /// The rest of the list, with the state that is known.
  [[nodiscard]] appraisal going_on() const {
    appraisal a(h_, policy_);
    a.input.log = rest();
    a.input.first = 3;
    a.state = state_;
    return a;
  }
  static void wants_everything(const appraisal& a) {
    const auto e = refused(a.run());
    EXPECT_TRUE(e.retryable) << e.message;
    EXPECT_NE(e.message.find("whole log"), std::string::npos) << e.message;
  }

  host h_;
  ima_policy policy_;
  ima_state state_;
  std::size_t judged_bytes_ = 0;
};

TEST_F(ImaState, OnlyNewEntriesAreSentAndJudged) {
  const auto r = going_on().run();
  ASSERT_TRUE(r) << r.failure().message;
  EXPECT_EQ(r->judged, 1U);
  EXPECT_EQ(r->state.entries, 4U);
  // The same as judging all at once.
  const auto all = appraisal(h_, policy_).run();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->state.entries, 4U);
  EXPECT_EQ(all->state.aggregates[0].value, r->state.aggregates[0].value);
}

TEST_F(ImaState, NothingNewIsFine) {
  auto a = going_on();
  const auto before = after_two_files();
  a.banks[0] = before.quote();
  a.input.log = {};
  const auto r = a.run();
  ASSERT_TRUE(r) << r.failure().message;
  EXPECT_EQ(r->judged, 0U);
  EXPECT_EQ(r->state.entries, 3U);
}

TEST_F(ImaState, ANewEntryIsNumberedInTheWholeList) {
  h_.ima.file("/tmp/evil", as_bytes("evil"));
  refused(going_on().run(), 4);
}

// keylime/rust-keylime#1077: entries that were sent again were counted again.
TEST_F(ImaState, RustKeylime1077EntriesSentAgainAreNotCountedTwice) {
  // The whole list again, with a state at hand: judged from its start.
  appraisal whole(h_, policy_);
  whole.state = state_;
  const auto r = whole.run();
  ASSERT_TRUE(r) << r.failure().message;
  EXPECT_EQ(r->judged, 4U);
  EXPECT_EQ(r->state.entries, 4U);
  // The whole list under the number of its rest: its entries come twice, and PCR 10 says no.
  auto twice = going_on();
  twice.input.log = h_.log();
  wants_everything(twice);
  // The rest once more when it has been judged.
  auto again = going_on();
  again.state = r->state;
  wants_everything(again);
}

TEST_F(ImaState, APartWithoutItsStateIsNotJudged) {
  auto a = going_on();
  a.state.reset();
  wants_everything(a);
  for (const std::uint64_t first : {1U, 2U, 4U}) {
    auto other = going_on();
    other.input.first = first;
    wants_everything(other);
  }
  auto huge = going_on();
  huge.input.first = std::uint64_t{1} << 40;
  huge.state->entries = huge.input.first;
  refused(huge.run());
}

TEST_F(ImaState, AStateIsForOneKeyBootAndPolicy) {
  const bytes other_ak(34, 0x0C);
  auto key = going_on();
  key.input.ak_name = other_ak;
  wants_everything(key);
  auto boot = going_on();
  ++boot.input.reset_count;
  wants_everything(boot);
  auto policy = going_on();
  policy.policy.files.pop_back();
  policy.policy.ignored = {"/usr"};
  wants_everything(policy);
  auto rules = going_on();
  rules.input.allow_sha1 = true;
  wants_everything(rules);
}

TEST_F(ImaState, AStateOfAnotherBankIsOfNoUse) {
  auto a = going_on();
  a.state->aggregates[0].alg = hash_alg::sha384;
  wants_everything(a);
}

// ---- policies of golden hosts -------------------------------------------------------------------

TEST(ImaPolicyFromLog, AcceptsTheHostItWasMadeOf) {
  auto h = after_two_files();
  h.ima.file("/usr/bin/a", as_bytes("a, updated"));
  h.ima.file("/var/lib/x", as_bytes("varies"));
  h.ima.extend(h.ima.log.add_buf("kexec-cmdline", hash_alg::sha256, as_bytes("quiet")));
  ima_policy base;
  base.ignored = {"/var"};
  base.files = {listed("/usr/bin/a", "a")};
  const auto policy = ima_policy_from_log(h.log(), base);
  ASSERT_TRUE(policy) << policy.failure().message;
  ASSERT_EQ(policy->files.size(), 2U); // one for each path
  EXPECT_EQ(policy->files[0].path, "/usr/bin/a");
  EXPECT_EQ(policy->files[0].digests.size(), 2U);
  ASSERT_EQ(policy->buffers.size(), 1U);
  EXPECT_EQ(policy->ignored, base.ignored);
  const auto r = appraisal(h, *policy).run();
  EXPECT_TRUE(r) << r.failure().message;
  h.ima.file("/usr/bin/c", as_bytes("c"));
  refused(appraisal(h, *policy).run(), 6);
}

TEST(ImaPolicyFromLog, SignedFilesNeedNotBeListed) {
  const auto key = crypto::generate_p256();
  ASSERT_TRUE(key);
  host h;
  h.ima.extend(h.ima.log.add_sig(
      "/opt/x", hash_alg::sha256, sha256_of("x"),
      ima::make_signature(hash_alg::sha256, ima::key_id_of(*key), ecdsa_der(*key, "x"))));
  ima_policy base;
  base.signers = {key->spki_der()};
  const auto policy = ima_policy_from_log(h.log(), base);
  ASSERT_TRUE(policy);
  EXPECT_TRUE(policy->files.empty());
  const auto without = ima_policy_from_log(h.log(), {});
  ASSERT_TRUE(without);
  EXPECT_EQ(without->files.size(), 1U);
}

TEST(ImaPolicyFromLog, WhatNoListAccountsForIsAnError) {
  auto violated = after_two_files();
  violated.ima.extend(violated.ima.log.add_violation("/usr/bin/a", hash_alg::sha256));
  EXPECT_FALSE(ima_policy_from_log(violated.log(), {}));
  host weak;
  weak.ima.extend(weak.ima.log.add_ng("/a", hash_alg::sha1, bytes(20, 1)));
  EXPECT_FALSE(ima_policy_from_log(weak.log(), {}));
  EXPECT_TRUE(ima_policy_from_log(weak.log(), {}, true));
  EXPECT_FALSE(ima_policy_from_log({}, {}));
  auto forged = after_two_files();
  auto log = forged.log();
  log[log.size() - 2] ^= 1;
  EXPECT_FALSE(ima_policy_from_log(log, {}));
}

} // namespace
} // namespace custos::attestation
