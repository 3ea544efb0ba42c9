#include "cluster/bootstrap.hpp"
#include "cluster/config_storage.hpp"
#include "cluster/replica/raft_store.hpp"
#include "cluster/replica/wire.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"
#include "tests/unit/cluster/replica/first_replica.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gmock/gmock.h>

namespace custos::cluster {

namespace {

using custos::test::temporary_directory;
using test::now;
using testing::HasSubstr;

namespace fs = std::filesystem;

constexpr raft::replica_id self = 7;
const std::string url = "https://n1.example.org:8443";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// A first node that is asked, and the place of a second one.
class join : public testing::Test {
protected:
  join() {
    init_options options;
    options.data_dir = directory.path() / "first";
    options.cluster_name = "lab";
    options.node_name = "n1";
    options.dns_names = {"n1.example.org"};
    options.now = now;
    EXPECT_TRUE(init_cluster(options).ok());
    auto opened = node_store::open(options.data_dir);
    EXPECT_TRUE(opened.ok());
    first = *opened;
  }
  fs::path second_dir() const { return directory.path() / "second"; }
  std::string token(std::uint32_t life_s = 600) {
    return issue_join_token(*first, url, life_s, now).value();
  }
  join_attempt attempt(const std::string& with_token, const std::string& name = "n2") {
    auto out = make_join_request(second_dir(), with_token, {name, {"n2.example.org"}, {}});
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.failure().message);
    return std::move(*out);
  }
  result<join_admission> admit(const std::string& request, crypto::unix_seconds when = now) {
    return admit_node(*first, request, when);
  }
  /// Once the cluster has taken it in.
  raft::membership members_with(const join_admission& admission) {
    const auto own = member_info_of(first->identity(), {"n1.example.org", 8444});
    return {{1, raft::member_role::voter, write_member_info(own)},
            {self, raft::member_role::standby, write_member_info(admission.info)}};
  }
  std::string answer(const join_admission& admission) {
    return answer_join(*first, admission, self, replica::encode(members_with(admission))).value();
  }
  std::string answer(const join_attempt& asked) {
    const auto admission = admit(asked.request);
    EXPECT_TRUE(admission.ok()) << (admission.ok() ? "" : admission.failure().message);
    return answer(*admission);
  }
  void expect_no_second_node() {
    EXPECT_FALSE(is_initialized(second_dir()));
    if (fs::exists(second_dir())) {
      for (const auto& entry : fs::directory_iterator(second_dir()))
        EXPECT_EQ(entry.path().filename(), ".node.lock");
    }
  }

  temporary_directory directory;
  std::shared_ptr<node_store> first;
};

} // namespace

TEST_F(join, tokens_say_where_and_whom) {
  const auto parsed = parse_join_token(token());
  ASSERT_TRUE(parsed.ok()) << parsed.failure().message;
  EXPECT_EQ(parsed->url, url);
  EXPECT_EQ(parsed->ca_fingerprint, first->keys()->ca_certificate.fingerprint());
  EXPECT_EQ(parsed->secret.size(), join_secret_bytes);
}

TEST_F(join, refuses_what_is_no_token) {
  const auto good = token();
  const auto octets = crypto::from_base64url(good).value();
  EXPECT_EQ(parse_join_token("").failure().field, "token");
  EXPECT_EQ(parse_join_token("not base64!").failure().code, errc::malformed);
  EXPECT_EQ(parse_join_token(std::string(4000, 'A')).failure().code, errc::malformed);
  for (std::size_t size = 0; size < octets.size(); ++size)
    EXPECT_FALSE(parse_join_token(crypto::base64url(byte_view(octets).first(size))).ok()) << size;
  auto longer = octets;
  longer.push_back(0);
  EXPECT_FALSE(parse_join_token(crypto::base64url(longer)).ok());
  auto other = octets;
  other[0] = 2;
  EXPECT_EQ(parse_join_token(crypto::base64url(other)).failure().code, errc::unsupported);
  other = octets;
  other[3] = 'x'; // "xttps://": never ask over anything else
  EXPECT_FALSE(parse_join_token(crypto::base64url(other)).ok());
}

TEST_F(join, refuses_odd_tokens_to_issue) {
  for (const std::string bad : {"", "http://a", "https://", "https://a b", "https://a\"b"})
    EXPECT_EQ(issue_join_token(*first, bad, 600, now).failure().field, "url") << bad;
  EXPECT_FALSE(issue_join_token(*first, "https://" + std::string(505, 'a'), 600, now).ok());
  EXPECT_EQ(issue_join_token(*first, url, 59, now).failure().field, "life_s");
  EXPECT_EQ(issue_join_token(*first, url, join_token_life_s_max + 1, now).failure().field,
            "life_s");
}

TEST_F(join, bounds_the_tokens_and_forgets_expired_ones) {
  for (std::size_t i = 0; i < join_tokens_max; ++i)
    token(600);
  EXPECT_EQ(issue_join_token(*first, url, 600, now + 599).failure().code, errc::too_large);
  EXPECT_TRUE(issue_join_token(*first, url, 600, now + 600).ok());
  EXPECT_EQ(first->store()->scan("join-token/")->size(), 1U);
}

TEST_F(join, makes_a_second_node_of_the_same_cluster) {
  const auto asked = attempt(token());
  const auto admitted = admit(asked.request, now + 1);
  ASSERT_TRUE(admitted.ok()) << admitted.failure().message;
  EXPECT_FALSE(admitted->replaces);
  EXPECT_EQ(admitted->info.name, "n2");
  EXPECT_EQ(admitted->info.host, "n2.example.org");
  EXPECT_EQ(admitted->info.certificates, std::vector{admitted->certificate.fingerprint()});
  EXPECT_EQ(admitted->info.public_key, asked.tls_key.spki_der());
  const auto accepted = accept_join_answer(second_dir(), asked, answer(*admitted), now + 2);
  ASSERT_TRUE(accepted.ok()) << accepted.failure().message;

  const auto second = node_store::open(second_dir());
  ASSERT_TRUE(second.ok()) << second.failure().message;
  EXPECT_EQ((*second)->keys()->cluster_id, first->keys()->cluster_id);
  EXPECT_EQ((*second)->keys()->token_kid, first->keys()->token_kid);
  EXPECT_EQ((*second)->identity().name, "n2");
  EXPECT_EQ((*second)->identity().certificate.dns_names(),
            std::vector<std::string>{"n2.example.org"});
  const auto found = replica::load_replica(*(*second)->store());
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_EQ(found->self, self);
  EXPECT_EQ(found->introduction, members_with(*admitted));
  EXPECT_TRUE(found->entries.empty());
  EXPECT_EQ(load_state(*(*second)->store()).failure().code, errc::not_found)
      << "the log brings the configuration";
  // What one node sealed, the other opens.
  const auto sealed = first->seals()->seal(as_bytes("password"), password_use("p")).value();
  EXPECT_EQ(as_text((*second)->seals()->open(sealed, password_use("p"))->reveal_secret()),
            "password");
  // Their node keys differ.
  EXPECT_NE(custos::test::file_content(directory.path() / "first/node/node.key"),
            custos::test::file_content(second_dir() / "node/node.key"));
}

TEST_F(join, a_token_is_good_once) {
  const auto one = token();
  const auto a = attempt(one);
  const auto b = attempt(one, "n3");
  ASSERT_TRUE(admit(a.request).ok());
  for (const auto& again : {a.request, b.request}) {
    const auto admitted = admit(again);
    ASSERT_FALSE(admitted.ok());
    EXPECT_EQ(admitted.failure().code, errc::unauthenticated);
  }
}

TEST_F(join, a_token_expires) {
  const auto a = attempt(token(600));
  EXPECT_EQ(admit(a.request, now + 600).failure().code, errc::unauthenticated);
  EXPECT_TRUE(admit(a.request, now + 599).ok());
}

TEST_F(join, an_unknown_secret_is_refused) {
  token();
  const auto a = attempt(token());
  const auto secret = crypto::base64url(a.token.secret.reveal_secret());
  const auto other = crypto::base64url(crypto::random_bytes(join_secret_bytes));
  for (const auto& wrong : {other, std::string("AA"), std::string("!"), std::string()})
    EXPECT_EQ(admit(with(a.request, secret, wrong)).failure().code, errc::unauthenticated);
}

TEST_F(join, a_bad_request_names_the_field_and_keeps_the_token) {
  const auto a = attempt(token());
  struct refused {
    std::string from, to, field;
  };
  const auto secret = crypto::base64url(a.token.secret.reveal_secret());
  const std::vector<refused> cases{
      {R"("node_name":"n2")", R"("node_name":"n/2")", "/node_name"},
      {R"("node_name":"n2")", R"("node_name":"n1")", "/node_name"},
      {R"("node_name":"n2")", R"("node":"n2")", "/node_name"},
      {R"("dns_names":["n2.example.org"])", R"("dns_names":[])", "/dns_names"},
      {R"("dns_names":["n2.example.org"])", R"("dns_names":["a b"])", "/dns_names"},
      {R"("ip_addresses":[])", R"("ip_addresses":["x"])", "/ip_addresses"},
      {"BEGIN CERTIFICATE REQUEST", "BEGIN SOMETHING", "/csr"},
      {R"("crv":"P-256")", R"("crv":"P-521")", "/transport_key"},
      {R"("kty":"EC")", R"("kty":1)", "/transport_key/kty"},
      {R"({"cluster_address")", R"({"also":1,"cluster_address")", "/also"},
      {"\"" + secret + "\"", "5", "/secret"},
      {":7443\"", "\"", "/cluster_address"},
      {R"("replace":false)", R"("replace":"no")", "/replace"},
  };
  for (const auto& c : cases) {
    const auto admitted = admit(with(a.request, c.from, c.to));
    ASSERT_FALSE(admitted.ok()) << c.to;
    EXPECT_EQ(admitted.failure().field, c.field) << c.to << ": " << admitted.failure().message;
  }
  EXPECT_EQ(admit("{").failure().code, errc::malformed);
  EXPECT_EQ(admit(std::string(join_request_bytes_max + 1, ' ')).failure().code, errc::too_large);
  EXPECT_TRUE(admit(a.request).ok());
}

TEST_F(join, a_token_is_good_again_when_the_cluster_did_not_take_the_node_in) {
  const auto one = attempt(token());
  const auto admitted = admit(one.request).value();
  EXPECT_EQ(admit(one.request).failure().code, errc::unauthenticated);
  ASSERT_TRUE(give_back_token(*first, admitted).ok());
  EXPECT_EQ(admit(one.request, now + 600).failure().code, errc::unauthenticated)
      << "it expires as before";
  EXPECT_TRUE(admit(one.request).ok());
  EXPECT_EQ(admit(one.request).failure().code, errc::unauthenticated);
}

TEST_F(join, the_answer_is_only_for_who_asked) {
  const auto mine = attempt(token());
  const auto answered = answer(mine);
  const auto other = attempt(token(), "n3");
  EXPECT_FALSE(accept_join_answer(second_dir(), other, answered, now).ok());
  expect_no_second_node();
  for (const auto& secret : {first->seals()->ring().keys.front().key, first->keys()->challenge_key})
    EXPECT_EQ(answered.find(crypto::base64url(secret->reveal_secret())), std::string::npos);
}

TEST_F(join, the_answer_must_be_of_the_cluster_that_the_token_names) {
  auto mine = attempt(token());
  const auto answered = answer(mine);
  mine.token.ca_fingerprint[0] ^= 1U;
  const auto accepted = accept_join_answer(second_dir(), mine, answered, now);
  ASSERT_FALSE(accepted.ok());
  EXPECT_THAT(accepted.failure().message, HasSubstr("CA certificate"));
  expect_no_second_node();
}

TEST_F(join, the_certificate_must_be_for_our_key_and_valid) {
  auto mine = attempt(token());
  const auto answered = answer(mine);
  EXPECT_FALSE(
      accept_join_answer(second_dir(), mine, answered, now + node_certificate_life_s + 1).ok());
  mine.node.name = "n9";
  EXPECT_FALSE(accept_join_answer(second_dir(), mine, answered, now).ok());
  mine.node.name = "n2";
  mine.tls_key = crypto::generate_p256().value();
  EXPECT_FALSE(accept_join_answer(second_dir(), mine, answered, now).ok());
  expect_no_second_node();
}

TEST_F(join, a_changed_answer_is_noticed) {
  const auto mine = attempt(token());
  const auto body = answer(mine);
  for (std::size_t at = 3; at < body.size(); at += 97) {
    auto changed = body;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(accept_join_answer(second_dir(), mine, changed, now).ok()) << at;
  }
  EXPECT_FALSE(accept_join_answer(second_dir(), mine, "{}", now).ok());
  EXPECT_FALSE(
      accept_join_answer(second_dir(), mine, with(body, "{\"jwe", "{\"also\":1,\"jwe"), now).ok());
  EXPECT_FALSE(accept_join_answer(second_dir(), mine, body.substr(0, body.size() / 2), now).ok());
  expect_no_second_node();
  EXPECT_TRUE(accept_join_answer(second_dir(), mine, body, now).ok());
}

TEST_F(join, the_members_are_those_that_were_sealed) {
  const auto mine = attempt(token());
  const auto admitted = admit(mine.request).value();
  const auto body = answer(admitted);
  const auto sealed = crypto::base64url(replica::encode(members_with(admitted)));
  auto others = members_with(admitted);
  others.front().info = write_member_info(replica::test::info_of("mallory"));
  const auto swapped = with(body, sealed, crypto::base64url(replica::encode(others)));
  const auto accepted = accept_join_answer(second_dir(), mine, swapped, now);
  ASSERT_FALSE(accepted.ok());
  EXPECT_EQ(accepted.failure().code, errc::crypto_failure);
  // A membership without the new node, or a number that is none.
  others.pop_back();
  for (const auto& bad : {answer_join(*first, admitted, self, replica::encode(others)).value(),
                          answer_join(*first, admitted, 0, replica::encode(others)).value(),
                          answer_join(*first, admitted, self, bytes{1, 2}).value()})
    EXPECT_FALSE(accept_join_answer(second_dir(), mine, bad, now).ok());
  expect_no_second_node();
  EXPECT_TRUE(accept_join_answer(second_dir(), mine, body, now).ok());
}

TEST_F(join, a_node_takes_the_place_of_one_in_its_directory) {
  const auto before = attempt(token());
  ASSERT_TRUE(accept_join_answer(second_dir(), before, answer(before), now).ok());
  const node_request request{"n2", {"n2.example.org"}, {}};
  EXPECT_EQ(make_join_request(second_dir(), token(), request).failure().code, errc::already_exists);
  const auto again = make_join_request(second_dir(), token(), request, true);
  ASSERT_TRUE(again.ok()) << again.failure().message;
  const auto admitted = admit(again->request).value();
  EXPECT_TRUE(admitted.replaces);
  const auto body = answer(admitted);
  {
    const auto runs = node_store::open(second_dir());
    ASSERT_TRUE(runs.ok());
    EXPECT_EQ(accept_join_answer(second_dir(), *again, body, now).failure().code,
              errc::unavailable);
  }
  EXPECT_TRUE(node_store::open(second_dir())->get()->identity().tls_key.same_public(before.tls_key))
      << "until it is stopped, nothing changes";
  const auto accepted = accept_join_answer(second_dir(), *again, body, now);
  ASSERT_TRUE(accepted.ok()) << accepted.failure().message;
  const auto second = node_store::open(second_dir());
  ASSERT_TRUE(second.ok()) << second.failure().message;
  EXPECT_TRUE((*second)->identity().tls_key.same_public(again->tls_key));
  for (const auto& entry : fs::directory_iterator(second_dir()))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".node-")) << entry.path();
}

TEST_F(join, a_node_that_does_not_open_is_replaced) {
  fs::create_directories(second_dir() / "node" / "db");
  custos::test::write_file(second_dir() / "node" / "db" / "CURRENT", "nonsense\n");
  const auto asked = make_join_request(second_dir(), token(), {"n2", {"n2.example.org"}, {}}, true);
  ASSERT_TRUE(asked.ok()) << asked.failure().message;
  const auto accepted = accept_join_answer(second_dir(), *asked, answer(*asked), now);
  ASSERT_TRUE(accepted.ok()) << accepted.failure().message;
  EXPECT_TRUE(node_store::open(second_dir()).ok());
}

TEST_F(join, who_issued_the_token_is_not_replaced_through_itself) {
  const auto asked = make_join_request(second_dir(), token(), {"n1", {"n1.example.org"}, {}}, true);
  ASSERT_TRUE(asked.ok());
  EXPECT_EQ(admit(asked->request).failure().code, errc::already_exists);
}

TEST_F(join, a_directory_with_a_node_joins_nothing) {
  const auto made = make_join_request(directory.path() / "first", token(), {"n2", {"a"}, {}});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.failure().code, errc::already_exists);
  const auto mine = attempt(token());
  const auto answered = answer(mine);
  EXPECT_EQ(accept_join_answer(directory.path() / "first", mine, answered, now).failure().code,
            errc::already_exists);
}

TEST_F(join, an_unwritable_directory_is_an_error) {
  const auto mine = attempt(token());
  const auto answered = answer(mine);
  custos::test::write_file(directory.path() / "file", "");
  EXPECT_EQ(accept_join_answer(directory.path() / "file" / "x", mine, answered, now).failure().code,
            errc::storage_failure);
}

} // namespace custos::cluster
