// custos token: tokens looked at by hand, and the keys that a cluster signs them with.

#include "actors/attestation/token.hpp"
#include "adapters/json/json.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/files.hpp"

#include <boost/json.hpp>
#include <chrono>
#include <iostream>

namespace custos::cli {

namespace bj = boost::json;

namespace {

constexpr std::size_t text_bytes_max = 2048;
constexpr std::string_view scheme = "https://";

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// ---- tokens -------------------------------------------------------------------------------------

struct token_arguments {
  std::string file;
  std::string jwks;
  std::string issuer;
  std::string audience;
};

/// The token in a file, or on standard input for "-", without white space around it.
result<std::string> read_jws(const std::string& file) {
  constexpr std::size_t bytes_max = jose::token_bytes_max + 64;
  std::string text;
  if (file == "-") {
    text.resize(bytes_max + 1);
    std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > bytes_max)
      return field_error(errc::malformed, file, "expected a token of at most 16 KiB");
  } else {
    CUSTOS_TRY(text, runtime::read_text_file(file, bytes_max));
  }
  constexpr const char* white = " \t\r\n";
  const auto begin = text.find_first_not_of(white);
  if (begin == std::string::npos)
    return field_error(errc::malformed, file, "expected a token; it is empty");
  return text.substr(begin, text.find_last_not_of(white) + 1 - begin);
}

/// Header and claims as they stand in the token. What is no JWT is wrong data: exit code 65.
result<bj::object> shown(const std::string& file, const std::string& jws) {
  const auto wrong = [&](const error& e) { return field_error(errc::malformed, file, e.message); };
  const auto parts = jose::peek(jws);
  if (!parts)
    return wrong(parts.failure());
  auto header = json::parse_any(parts->header);
  auto claims = json::parse_any(parts->payload);
  if (!header || !claims)
    return wrong(header ? claims.failure() : header.failure());
  if (!claims->is_object())
    return field_error(errc::malformed, file, "expected claims: a JSON object");
  return bj::object{{"header", *std::move(header)}, {"claims", *std::move(claims)}};
}

result<void> inspect(session& s, const token_arguments& a) {
  CUSTOS_TRY(const auto jws, read_jws(a.file));
  CUSTOS_TRY(auto out, shown(a.file, jws));
  out["signature"] = "not judged";
  s.show(out);
  s.say(
      "The signature was not judged: anybody can write such a token. `custos token verify` does.");
  return {};
}

/// The JWK set that the issuer publishes (OpenID Connect Discovery 1.0, 4).
result<std::string> published_jwks(session& s, const std::string& issuer) {
  if (!issuer.starts_with(scheme))
    return field_error(errc::invalid_argument, "--issuer", "expected https://...");
  CUSTOS_TRY(const auto text, s.exchange(issuer, "GET", "/.well-known/openid-configuration", ""));
  auto document = json::parse_object(text, jose::jwks_bytes_max);
  auto named = document ? document->string("issuer", text_bytes_max)
                        : result<std::string>(document.failure());
  auto uri = document ? document->string("jwks_uri", text_bytes_max)
                      : result<std::string>(document.failure());
  if (!named || !uri)
    return field_error(errc::malformed, issuer, "expected an OpenID configuration");
  // 4.3: otherwise one issuer could speak for another.
  if (*named != issuer)
    return field_error(errc::malformed, issuer,
                       "the configuration found there is of another issuer");
  if (!uri->starts_with(scheme))
    return field_error(errc::malformed, issuer, "expected a jwks_uri of https");
  return s.exchange(*uri, "GET", "", "");
}

result<std::vector<jose::trusted_key>> keys_for(session& s, const token_arguments& a) {
  if (a.jwks.empty() && a.issuer.empty())
    return field_error(errc::invalid_argument, "--jwks",
                       "expected --jwks FILE, or --issuer URL with --ca FILE");
  result<std::string> text = a.jwks.empty() ? published_jwks(s, a.issuer)
                                            : runtime::read_text_file(a.jwks, jose::jwks_bytes_max);
  if (!text)
    return text.failure();
  auto keys = jose::trusted_of_jwks(*text);
  if (!keys)
    return field_error(errc::malformed, a.jwks.empty() ? a.issuer : a.jwks,
                       keys.failure().field + ": " + keys.failure().message);
  return keys;
}

/// A claim that the token makes of itself, where nothing was demanded of it.
std::string own_claim(const bj::object& token, const char* name) {
  const auto* const found = token.at("claims").as_object().if_contains(name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

result<void> verify(session& s, const token_arguments& a) {
  CUSTOS_TRY(const auto jws, read_jws(a.file));
  CUSTOS_TRY(auto out, shown(a.file, jws));
  CUSTOS_TRY(const auto keys, keys_for(s, a));
  const auto issuer = a.issuer.empty() ? own_claim(out, "iss") : a.issuer;
  const auto audience = a.audience.empty() ? own_claim(out, "aud") : a.audience;
  const auto claims = attestation::read_token(jws, {keys, issuer, audience}, unix_now());
  out["verdict"] = claims ? "accepted" : "refused";
  if (!claims) {
    out["reason"] = claims.failure().message;
    if (!claims.failure().check.empty())
      out["check"] = claims.failure().check;
  }
  s.show(out);
  if (a.issuer.empty() && claims)
    s.say("The issuer was not judged: no --issuer was given.");
  if (a.audience.empty() && claims)
    s.say("The audience was not judged: no --audience was given.");
  if (claims)
    return {};
  auto e = claims.failure();
  e.code = errc::attestation_failed; // refused, which is not the caller's lack of rights
  return e;
}

void add_offline_commands(command_set& commands, CLI::App* group) {
  auto i = std::make_shared<token_arguments>();
  commands
      .command(group, "inspect", "Header and claims of a token; judges nothing",
               [i](session& s) { return inspect(s, *i); })
      ->add_option("file", i->file, "File of the token, - for standard input")
      ->required();
  auto v = std::make_shared<token_arguments>();
  auto* const c = commands.command(group, "verify", "Judges signature and claims of a token",
                                   [v](session& s) { return verify(s, *v); });
  c->add_option("file", v->file, "File of the token, - for standard input")->required();
  c->add_option("--jwks", v->jwks, "File of the JWK set to trust; else the issuer is asked");
  c->add_option("--issuer", v->issuer, "Who must have issued it, https://...");
  c->add_option("--audience", v->audience, "Whom it must be for: custos-keys, custos-reporting");
}

// ---- keys ---------------------------------------------------------------------------------------

result<std::string> collection(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/custos/v1/trust-authority-clusters/" + cluster + "/attestation/token-keys";
}

struct rotate_arguments {
  std::string algorithm = "ES256";
  std::optional<std::int64_t> signs_in_s;
  std::optional<std::int64_t> signs_for_s;
  std::optional<std::int64_t> verifies_for_s;
};

result<void> rotate(session& s, const rotate_arguments& a) {
  CUSTOS_TRY(const auto path, collection(s));
  bj::object wish{{"algorithm", a.algorithm}};
  if (a.signs_in_s)
    wish["signs_from"] = unix_now() + *a.signs_in_s;
  if (a.signs_for_s)
    wish["signs_for_s"] = *a.signs_for_s;
  if (a.verifies_for_s)
    wish["verifies_for_s"] = *a.verifies_for_s;
  CUSTOS_TRY(const auto answer, s.ask("POST", path, wish));
  s.show(answer);
  return {};
}

void add_key_commands(command_set& commands, CLI::App* group) {
  auto a = std::make_shared<rotate_arguments>();
  auto* c = commands.command(group, "rotate", "Makes a new signing key and gives it to every node",
                             [a](session& s) { return rotate(s, *a); });
  c->add_option("--algorithm", a->algorithm, "ES256, ES384, PS256 or RS256")
      ->check(CLI::IsMember({"ES256", "ES384", "PS256", "RS256"}))
      ->capture_default_str();
  const auto seconds = CLI::Range(std::int64_t{0}, std::int64_t{4'000'000'000});
  c->add_option("--signs-in-seconds", a->signs_in_s,
                "It is published at once and signs only then, so that verifiers know it (300)")
      ->check(seconds);
  c->add_option("--signs-for-seconds", a->signs_for_s, "How long it signs (90 days)")
      ->check(seconds);
  c->add_option("--verifies-for-seconds", a->verifies_for_s,
                "How long it verifies after that (the life of a token)")
      ->check(seconds);
  commands.command(group, "keys", "The signing keys, and where each stands",
                   [](session& s) -> result<void> {
                     CUSTOS_TRY(const auto path, collection(s));
                     CUSTOS_TRY(const auto answer, s.ask("GET", path));
                     s.show(answer);
                     return {};
                   });
  auto kid = std::make_shared<std::string>();
  c = commands.command(group, "forget", "Drops a signing key: its tokens end at once",
                       [kid](session& s) -> result<void> {
                         CUSTOS_TRY(const auto path, collection(s));
                         CUSTOS_TRY(const auto answer, s.ask("DELETE", path + "/" + segment(*kid)));
                         s.show(answer);
                         return {};
                       });
  c->add_option("kid", *kid, "Its id, as `custos token keys` shows it")->required();
}

} // namespace

void add_token_commands(command_set& commands) {
  auto* const group = commands.group("token", "Tokens, and the keys they are signed with");
  add_offline_commands(commands, group);
  add_key_commands(commands, group);
}

} // namespace custos::cli
