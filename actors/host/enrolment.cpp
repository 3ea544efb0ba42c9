#include "actors/host/enrolment.hpp"

#include "actors/host/services.hpp"
#include "adapters/crypto/x509.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>

namespace custos::host {

namespace bj = boost::json;

namespace {

constexpr std::string_view enrolment_key = "enrolment";
constexpr std::size_t document_bytes_max = 512U << 10U;
constexpr std::size_t certificate_bytes_max = 128U << 10U; ///< it holds the EK's chain
constexpr std::size_t name_bytes_max = 66;

result<enrolment> parse(std::string_view document) {
  CUSTOS_TRY(auto o, json::parse_object(document, document_bytes_max));
  CUSTOS_TRY(auto certificate, o.base64url("certificate", certificate_bytes_max));
  CUSTOS_TRY(auto name, o.hex("ak_name", name_bytes_max));
  CUSTOS_TRY(auto authority, o.string("authority", 64));
  CUSTOS_CHECK(o.finish());
  return read_enrolment(std::move(certificate), std::move(name), std::move(authority));
}

} // namespace

result<enrolment> read_enrolment(bytes certificate, bytes ak_name, std::string authority) {
  auto parsed = crypto::certificate_from_der(certificate);
  if (!parsed)
    return make_error(errc::malformed,
                      "the certificate of the attestation key: " + parsed.failure().message);
  return enrolment{std::move(certificate), std::move(ak_name), std::move(authority),
                   parsed->not_before(), parsed->not_after()};
}

std::string authority_of(const std::string& trusted_ca, const std::string& host) {
  return crypto::hex(crypto::sha256(as_bytes(host + "\n" + trusted_ca)));
}

std::int64_t renew_at(const enrolment& e, std::uint8_t jitter) {
  return refresh_at(e.not_before, e.not_after, jitter);
}

std::optional<enrolment> load_enrolment(const rocksdb::kv_store& store) {
  const auto found = store.get(enrolment_key);
  if (!found || !*found)
    return std::nullopt;
  auto read = parse(as_text(**found));
  return read ? std::optional<enrolment>(*std::move(read)) : std::nullopt;
}

result<void> save_enrolment(rocksdb::kv_store& store, const enrolment& e) {
  rocksdb::write_batch batch;
  batch.put(std::string(enrolment_key),
            json::canonical(bj::object{{"certificate", crypto::base64url(e.certificate)},
                                       {"ak_name", crypto::hex(e.ak_name)},
                                       {"authority", e.authority}}));
  return store.write(batch);
}

result<void> erase_enrolment(rocksdb::kv_store& store) {
  rocksdb::write_batch batch;
  batch.erase(std::string(enrolment_key));
  return store.write(batch);
}

} // namespace custos::host
