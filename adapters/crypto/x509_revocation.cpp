#include "adapters/crypto/internal.hpp"
#include "adapters/crypto/x509_path.hpp"

#include <openssl/objects.h>

namespace custos::crypto {

using namespace internal;

namespace {

using issuing_point_ptr = std::unique_ptr<ISSUING_DIST_POINT, deleter<ISSUING_DIST_POINT_free>>;
using distribution_points_ptr = std::unique_ptr<CRL_DIST_POINTS, deleter<CRL_DIST_POINTS_free>>;

/// A certificate and whoever issued it.
struct link {
  const certificate& cert;
  const certificate& issuer;
};

bool issued_by(const certificate_revocation_list& list, const certificate& issuer) {
  if (!list || X509_NAME_cmp(X509_CRL_get_issuer(list.handle()),
                             X509_get_subject_name(issuer.handle())) != 0)
    return false;
  // No key usage at all restricts nothing (RFC 5280, 4.2.1.3).
  if ((X509_get_key_usage(issuer.handle()) & KU_CRL_SIGN) == 0)
    return false;
  const bool holds = X509_CRL_verify(list.handle(), X509_get0_pubkey(issuer.handle())) == 1;
  ERR_clear_error();
  return holds;
}

bool revokes(const certificate_revocation_list& list, const certificate& cert) {
  X509_REVOKED* entry = nullptr;
  // 2 is an entry of a delta that takes a hold back (RFC 5280, 5.3.1, removeFromCRL).
  return X509_CRL_get0_by_serial(list.handle(), &entry, X509_get0_serialNumber(cert.handle())) == 1;
}

bool strong(const certificate_revocation_list& list, bool allow_sha1) {
  int md = NID_undef;
  int pk = NID_undef;
  if (OBJ_find_sigid_algs(X509_CRL_get_signature_nid(list.handle()), &md, &pk) != 1)
    return false;
  switch (md) {
  case NID_sha256:
  case NID_sha384:
  case NID_sha512:
    return true;
  case NID_sha1:
    return allow_sha1;
  default:
    return md == NID_undef && (pk == NID_rsassaPss || pk == NID_ED25519 || pk == NID_ED448);
  }
}

bool share_a_name(const GENERAL_NAMES* a, const GENERAL_NAMES* b) {
  for (int i = 0; i < sk_GENERAL_NAME_num(a); ++i)
    for (int j = 0; j < sk_GENERAL_NAME_num(b); ++j)
      if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(a, i), sk_GENERAL_NAME_value(b, j)) == 0)
        return true;
  return false;
}

/// Does the certificate say that it is revoked at this very distribution point?
bool points_to(const certificate& cert, const DIST_POINT_NAME& point) {
  constexpr int full_name = 0;
  const distribution_points_ptr own(static_cast<CRL_DIST_POINTS*>(
      X509_get_ext_d2i(cert.handle(), NID_crl_distribution_points, nullptr, nullptr)));
  for (int i = 0; own && i < sk_DIST_POINT_num(own.get()); ++i) {
    const DIST_POINT* const one = sk_DIST_POINT_value(own.get(), i);
    if (one->distpoint != nullptr && one->distpoint->type == full_name && point.type == full_name &&
        share_a_name(one->distpoint->name.fullname, point.name.fullname))
      return true;
  }
  return false;
}

/// RFC 5280, 5.2: is the list complete for this certificate? What is critical and not known here
/// may say that it is not.
bool complete_for(const certificate_revocation_list& list, const certificate& cert) {
  for (int i = 0; i < X509_CRL_get_ext_count(list.handle()); ++i) {
    X509_EXTENSION* const extension = X509_CRL_get_ext(list.handle(), i);
    if (X509_EXTENSION_get_critical(extension) == 0)
      continue;
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (nid != NID_issuing_distribution_point && nid != NID_authority_key_identifier)
      return false; // a delta, for one
  }
  int critical = -1; // stays so if there is none, -2 if there are several
  const issuing_point_ptr scope(static_cast<ISSUING_DIST_POINT*>(
      X509_CRL_get_ext_d2i(list.handle(), NID_issuing_distribution_point, &critical, nullptr)));
  if (!scope)
    return critical == -1;
  const bool is_ca = cert.is_ca();
  if (scope->indirectCRL > 0 || scope->onlyattr > 0 || scope->onlysomereasons != nullptr ||
      (scope->onlyuser > 0 && is_ca) || (scope->onlyCA > 0 && !is_ca))
    return false;
  return scope->distpoint == nullptr || points_to(cert, *scope->distpoint);
}

bool current(const certificate_revocation_list& list, unix_seconds now) {
  return list.last_update() <= now && now < list.next_update();
}

error revocation_error(const certificate& cert, const char* what) {
  return make_error(errc::crypto_failure, "certificate chain: the certificate " +
                                              cert.serial_hex() + " (subject " + cert.subject() +
                                              ", issuer " + cert.issuer() + ") " + what);
}

result<void> check_link(const link& l, std::span<const certificate_revocation_list> lists,
                        const revocation_options& options) {
  bool covered = false;
  bool known = false;
  for (const auto& list : lists) {
    const bool revoked = list && revokes(list, l.cert);
    if ((!revoked && !options.require_current) || !issued_by(list, l.issuer))
      continue;
    if (revoked)
      return revocation_error(l.cert, "was revoked by its issuer");
    known = true;
    covered = covered || (current(list, options.now) && strong(list, options.allow_sha1) &&
                          complete_for(list, l.cert));
  }
  ERR_clear_error();
  if (!options.require_current || covered)
    return {};
  return revocation_error(l.cert, known
                                      ? "is covered by no CRL that is current, complete for it and "
                                        "signed with SHA-256 or better"
                                      : "comes from an issuer of which no CRL is configured");
}

} // namespace

result<void> check_revocation(std::span<const certificate> path,
                              std::span<const certificate_revocation_list> lists,
                              const revocation_options& options) {
  for (std::size_t i = 0; i + 1 < path.size(); ++i)
    CUSTOS_CHECK(check_link({path[i], path[i + 1]}, lists, options));
  return {};
}

} // namespace custos::crypto
