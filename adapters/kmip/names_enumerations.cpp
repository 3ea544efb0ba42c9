// The names of values of enumerations and masks, from the tables of the published specifications of
// KMIP 1.0 to 2.1 (1.0 to 1.4: 9.1.3; 2.0 and 2.1: 11). Where versions spell a name differently,
// the first spelling is kept. tests/unit/adapters/kmip/names_test.cpp holds them against those
// tables.

#include "adapters/kmip/names.hpp"

#include <iterator>

namespace custos::kmip::detail {

// clang-format off
const enumeration_run enumeration_runs[] = {
    // Credential Type
    {0x420024, 0x1,
     "Username and Password|Device|Attestation|One Time Password|Hashed Password|Ticket"},
    // Key Compression Type
    {0x420041, 0x1,
     "EC Public Key Type Uncompressed|EC Public Key Type X9.62 Compressed Prime|"
     "EC Public Key Type X9.62 Compressed Char2|EC Public Key Type X9.62 Hybrid"},
    // Key Format Type
    {0x420042, 0x1,
     "Raw|Opaque|PKCS#1|PKCS#8|X.509|ECPrivateKey|Transparent Symmetric Key|"
     "Transparent DSA Private Key|Transparent DSA Public Key|Transparent RSA Private Key|"
     "Transparent RSA Public Key|Transparent DH Private Key|Transparent DH Public Key|"
     "Transparent ECDSA Private Key|Transparent ECDSA Public Key|Transparent ECDH Private Key|"
     "Transparent ECDH Public Key|Transparent ECMQV Private Key|Transparent ECMQV Public Key|"
     "Transparent EC Private Key|Transparent EC Public Key|PKCS#12"},
    // Wrapping Method
    {0x42009E, 0x1,
     "Encrypt|MAC/sign|Encrypt then MAC/sign|MAC/sign then encrypt|TR-31"},
    // Certificate Type
    {0x42001D, 0x1,
     "X.509|PGP"},
    // Split Key Method
    {0x42008A, 0x1,
     "XOR|Polynomial Sharing GF(216)|Polynomial Sharing Prime Field|Polynomial Sharing GF (28)"},
    // Secret Data Type
    {0x420086, 0x1,
     "Password|Seed"},
    // Name Type
    {0x420054, 0x1,
     "Uninterpreted Text String|URI"},
    // Object Type
    {0x420057, 0x1,
     "Certificate|Symmetric Key|Public Key|Private Key|Split Key|Template|Secret Data|"
     "Opaque Object|PGP Key|Certificate Request"},
    // Cryptographic Algorithm
    {0x420028, 0x1,
     "DES|3DES|AES|RSA|DSA|ECDSA|HMAC-SHA1|HMAC-SHA224|HMAC-SHA256|HMAC-SHA384|HMAC-SHA512|"
     "HMAC-MD5|DH|ECDH|ECMQV|Blowfish|Camellia|CAST5|IDEA|MARS|RC2|RC4|RC5|SKIPJACK|Twofish|"
     "EC|One Time Pad|ChaCha20|Poly1305|ChaCha20Poly1305|SHA3-224|SHA3-256|SHA3-384|SHA3-512|"
     "HMAC-SHA3-224|HMAC-SHA3-256|HMAC-SHA3-384|HMAC-SHA3-512|SHAKE-128|SHAKE-256|ARIA|SEED|"
     "SM2|SM3|SM4|GOST R 34.10-2012|GOST R 34.11-2012|GOST R 34.13-2015|GOST 28147-89|XMSS|"
     "SPHINCS-256|McEliece|McEliece-6960119|McEliece-8192128|Ed25519|Ed448"},
    // Block Cipher Mode
    {0x420011, 0x1,
     "CBC|ECB|PCBC|CFB|OFB|CTR|CMAC|CCM|GCM|CBC-MAC|XTS|AESKeyWrapPadding|NISTKeyWrap|"
     "X9.102 AESKW|X9.102 TDKW|X9.102 AKW1|X9.102 AKW2|AEAD"},
    // Padding Method
    {0x42005F, 0x1,
     "None|OAEP|PKCS5|SSL3|Zeros|ANSI X9.23|ISO 10126|PKCS1 v1.5|X9.31|PSS"},
    // Hashing Algorithm
    {0x420038, 0x1,
     "MD2|MD4|MD5|SHA-1|SHA-224|SHA-256|SHA-384|SHA-512|RIPEMD-160|Tiger|Whirlpool|"
     "SHA-512/224|SHA-512/256|SHA-3-224|SHA-3-256|SHA-3-384|SHA-3-512"},
    // Key Role Type
    {0x420083, 0x1,
     "BDK|CVK|DEK|MKAC|MKSMC|MKSMI|MKDAC|MKDN|MKCP|MKOTH|KEK|MAC16609|MAC97971|MAC97972|"
     "MAC97973|MAC97974|MAC97975|ZPK|PVKIBM|PVKPVV|PVKOTH|DUKPT|IV|TRKBK"},
    // State
    {0x42008D, 0x1,
     "Pre-Active|Active|Deactivated|Compromised|Destroyed|Destroyed Compromised"},
    // Revocation Reason Code
    {0x420082, 0x1,
     "Unspecified|Key Compromise|CA Compromise|Affiliation Changed|Superseded|"
     "Cessation of Operation|Privilege Withdrawn"},
    // Link Type
    {0x42004B, 0x101,
     "Certificate Link|Public Key Link|Private Key Link|Derivation Base Object Link|"
     "Derived Key Link|Replacement Object Link|Replaced Object Link|Parent Link|Child Link|"
     "Previous Link|Next Link|PKCS#12 Certificate Link|PKCS#12 Password Link"},
    // Derivation Method
    {0x420031, 0x1,
     "PBKDF2|HASH|HMAC|ENCRYPT|NIST800-108-C|NIST800-108-F|NIST800-108-DPI|Asymmetric Key"},
    // Certificate Request Type
    {0x420019, 0x1,
     "CRMF|PKCS#10|PEM|PGP"},
    // Validity Indicator
    {0x42009B, 0x1,
     "Valid|Invalid|Unknown"},
    // Query Function
    {0x420074, 0x1,
     "Query Operations|Query Objects|Query Server Information|Query Application Namespaces|"
     "Query Extension List|Query Extension Map|Query Attestation Types|Query RNGs|"
     "Query Validations|Query Profiles|Query Capabilities|Query Client Registration Methods|"
     "Query Defaults Information|Query Storage Protection Masks"},
    // Cancellation Result
    {0x420012, 0x1,
     "Canceled|Unable to Cancel|Completed|Failed|Unavailable"},
    // Put Function
    {0x420070, 0x1,
     "New|Replace"},
    // Operation
    {0x42005C, 0x1,
     "Create|Create Key Pair|Register|Re-key|Derive Key|Certify|Re-certify|Locate|Check|Get|"
     "Get Attributes|Get Attribute List|Add Attribute|Modify Attribute|Delete Attribute|"
     "Obtain Lease|Get Usage Allocation|Activate|Revoke|Destroy|Archive|Recover|Validate|"
     "Query|Cancel|Poll|Notify|Put|Re-key Key Pair|Discover Versions|Encrypt|Decrypt|Sign|"
     "Signature Verify|MAC|MAC Verify|RNG Retrieve|RNG Seed|Hash|Create Split Key|"
     "Join Split Key|Import|Export|Log|Login|Logout|Delegated Login|Adjust Attribute|"
     "Set Attribute|Set Endpoint Role|PKCS#11|Interop|Re-Provision|Set Defaults|"
     "Set Constraints|Get Constraints|Query Asynchronous Requests|Process|Ping"},
    // Result Status
    {0x42007F, 0x0,
     "Success|Operation Failed|Operation Pending|Operation Undone"},
    // Result Reason
    {0x42007E, 0x1,
     "Item Not Found|Response Too Large|Authentication Not Successful|Invalid Message|"
     "Operation Not Supported|Missing Data|Invalid Field|Feature Not Supported|"
     "Operation Canceled By Requester|Cryptographic Failure|Illegal Operation|"
     "Permission Denied|Object archived|Index Out of Bounds|"
     "Application Namespace Not Supported|Key Format Type Not Supported|"
     "Key Compression Type Not Supported|Encoding Option Error|Key Value Not Present|"
     "Attestation Required|Attestation Failed|Sensitive|Not Extractable|Object Already Exists|"
     "Invalid Ticket|Usage Limit Exceeded|Numeric Range|Invalid Data Type|Read Only Attribute|"
     "Multi Valued Attribute|Unsupported Attribute|Attribute Instance Not Found|"
     "Attribute Not Found|Attribute Read Only|Attribute Single Valued|"
     "Bad Cryptographic Parameters|Bad Password|Codec Error||Illegal Object Type|"
     "Incompatible Cryptographic Usage Mask|Internal Server Error|"
     "Invalid Asynchronous Correlation Value|Invalid Attribute|Invalid Attribute Value|"
     "Invalid Correlation Value|Invalid CSR|Invalid Object Type||Key Wrap Type Not Supported||"
     "Missing Initialization Vector|Non Unique Name Attribute|Object Destroyed|"
     "Object Not Found||Not Authorised|Server Limit Exceeded|Unknown Enumeration|"
     "Unknown Message Extension|Unknown Tag|Unsupported Cryptographic Parameters|"
     "Unsupported Protocol Version|Wrapping Object Archived|Wrapping Object Destroyed|"
     "Wrapping Object Not Found|Wrong Key Lifecycle State|Protection Storage Unavailable|"
     "PKCS#11 Codec Error|PKCS#11 Invalid Function|PKCS#11 Invalid Interface|"
     "Private Protection Storage Unavailable|Public Protection Storage Unavailable|"
     "Unknown Object Group|Constraint Violation|Duplicate Process Request"},
    // Result Reason
    {0x42007E, 0x100,
     "General Failure"},
    // Batch Error Continuation Option
    {0x42000E, 0x1,
     "Continue|Stop|Undo"},
    // Usage Limits Unit
    {0x420098, 0x1,
     "Byte|Object"},
    // Digital Signature Algorithm
    {0x4200AE, 0x1,
     "MD2 with RSA Encryption (PKCS#1 v1.5)|MD5 with RSA Encryption (PKCS#1 v1.5)|"
     "SHA-1 with RSA Encryption (PKCS#1 v1.5)|SHA-224 with RSA Encryption (PKCS#1 v1.5)|"
     "SHA-256 with RSA Encryption (PKCS#1 v1.5)|SHA-384 with RSA Encryption (PKCS#1 v1.5)|"
     "SHA-512 with RSA Encryption (PKCS#1 v1.5)|RSASSA-PSS (PKCS#1 v2.1)|DSA with SHA-1|"
     "DSA with SHA224|DSA with SHA256|ECDSA with SHA-1|ECDSA with SHA224|ECDSA with SHA256|"
     "ECDSA with SHA384|ECDSA with SHA512|SHA3-256 with RSA Encryption|"
     "SHA3-384 with RSA Encryption|SHA3-512 with RSA Encryption"},
    // Encoding Option
    {0x4200A3, 0x1,
     "No Encoding|TTLV Encoding"},
    // Object Group Member
    {0x4200AC, 0x1,
     "Group Member Fresh|Group Member Default"},
    // Recommended Curve
    {0x420075, 0x1,
     "P-192|K-163|B-163|P-224|K-233|B-233|P-256|K-283|B-283|P-384|K-409|B-409|P-521|K-571|"
     "B-571|SECP112R1|SECP112R2|SECP128R1|SECP128R2|SECP160K1|SECP160R1|SECP160R2|SECP192K1|"
     "SECP224K1|SECP256K1|SECT113R1|SECT113R2|SECT131R1|SECT131R2|SECT163R1|SECT193R1|"
     "SECT193R2|SECT239K1|ANSIX9P192V2|ANSIX9P192V3|ANSIX9P239V1|ANSIX9P239V2|ANSIX9P239V3|"
     "ANSIX9C2PNB163V1|ANSIX9C2PNB163V2|ANSIX9C2PNB163V3|ANSIX9C2PNB176V1|ANSIX9C2TNB191V1|"
     "ANSIX9C2TNB191V2|ANSIX9C2TNB191V3|ANSIX9C2PNB208W1|ANSIX9C2TNB239V1|ANSIX9C2TNB239V2|"
     "ANSIX9C2TNB239V3|ANSIX9C2PNB272W1|ANSIX9C2PNB304W1|ANSIX9C2TNB359V1|ANSIX9C2PNB368W1|"
     "ANSIX9C2TNB431R1|BRAINPOOLP160R1|BRAINPOOLP160T1|BRAINPOOLP192R1|BRAINPOOLP192T1|"
     "BRAINPOOLP224R1|BRAINPOOLP224T1|BRAINPOOLP256R1|BRAINPOOLP256T1|BRAINPOOLP320R1|"
     "BRAINPOOLP320T1|BRAINPOOLP384R1|BRAINPOOLP384T1|BRAINPOOLP512R1|BRAINPOOLP512T1|"
     "CURVE25519|CURVE448"},
    // Alternative Name Type
    {0x4200C1, 0x1,
     "Uninterpreted Text String|URI|Object Serial Number|Email Address|DNS Name|"
     "X.500 Distinguished Name|IP Address"},
    // Key Value Location Type
    {0x4200BA, 0x1,
     "Uninterpreted Text String|URI"},
    // Attestation Type
    {0x4200C7, 0x1,
     "TPM Quote|TCG Integrity Report|SAML Assertion"},
    // RNG Algorithm
    {0x4200DA, 0x1,
     "Unspecified|FIPS 186-2|DRBG|NRBG|ANSI X9.31|ANSI X9.62"},
    // DRBG Algorithm
    {0x4200DB, 0x1,
     "Unspecified|Dual-EC|Hash|HMAC|CTR|k-Original|k-Change Notice"},
    // Validation Authority Type
    {0x4200E0, 0x1,
     "Unspecified|NIST CMVP|Common Criteria"},
    // Validation Type
    {0x4200E5, 0x1,
     "Unspecified|Hardware|Software|Firmware|Hybrid"},
    // Profile Name
    {0x4200EC, 0x1,
     "Baseline Server Basic KMIP v1.2|Baseline Server TLS v1.2 KMIP v1.2|"
     "Baseline Client Basic KMIP v1.2|Baseline Client TLS v1.2 KMIP v1.2|"
     "Complete Server Basic KMIP v1.2|Complete Server TLS v1.2 KMIP v1.2|"
     "Tape Library Client KMIP v1.0|Tape Library Client KMIP v1.1|"
     "Tape Library Client KMIP v1.2|Tape Library Server KMIP v1.0|"
     "Tape Library Server KMIP v1.1|Tape Library Server KMIP v1.2|"
     "Symmetric Key Lifecycle Client KMIP v1.0|Symmetric Key Lifecycle Client KMIP v1.1|"
     "Symmetric Key Lifecycle Client KMIP v1.2|Symmetric Key Lifecycle Server KMIP v1.0|"
     "Symmetric Key Lifecycle Server KMIP v1.1|Symmetric Key Lifecycle Server KMIP v1.2|"
     "Asymmetric Key Lifecycle Client KMIP v1.0|Asymmetric Key Lifecycle Client KMIP v1.1|"
     "Asymmetric Key Lifecycle Client KMIP v1.2|Asymmetric Key Lifecycle Server KMIP v1.0|"
     "Asymmetric Key Lifecycle Server KMIP v1.1|Asymmetric Key Lifecycle Server KMIP v1.2|"
     "Basic Cryptographic Client KMIP v1.2|Basic Cryptographic Server KMIP v1.2|"
     "Advanced Cryptographic Client KMIP v1.2|Advanced Cryptographic Server KMIP v1.2|"
     "RNG Cryptographic Client KMIP v1.2|RNG Cryptographic Server KMIP v1.2|"
     "Basic Symmetric Key Foundry Client KMIP v1.0|"
     "Intermediate Symmetric Key Foundry Client KMIP v1.0|"
     "Advanced Symmetric Key Foundry Client KMIP v1.0|"
     "Basic Symmetric Key Foundry Client KMIP v1.1|"
     "Intermediate Symmetric Key Foundry Client KMIP v1.1|"
     "Advanced Symmetric Key Foundry Client KMIP v1.1|"
     "Basic Symmetric Key Foundry Client KMIP v1.2|"
     "Intermediate Symmetric Key Foundry Client KMIP v1.2|"
     "Advanced Symmetric Key Foundry Client KMIP v1.2|Symmetric Key Foundry Server KMIP v1.0|"
     "Symmetric Key Foundry Server KMIP v1.1|Symmetric Key Foundry Server KMIP v1.2|"
     "Opaque Managed Object Store Client KMIP v1.0|"
     "Opaque Managed Object Store Client KMIP v1.1|"
     "Opaque Managed Object Store Client KMIP v1.2|"
     "Opaque Managed Object Store Server KMIP v1.0|"
     "Opaque Managed Object Store Server KMIP v1.1|"
     "Opaque Managed Object Store Server KMIP v1.2|Suite B minLOS_128 Client KMIP v1.0|"
     "Suite B minLOS_128 Client KMIP v1.1|Suite B minLOS_128 Client KMIP v1.2|"
     "Suite B minLOS_128 Server KMIP v1.0|Suite B minLOS_128 Server KMIP v1.1|"
     "Suite B minLOS_128 Server KMIP v1.2|Suite B minLOS_192 Client KMIP v1.0|"
     "Suite B minLOS_192 Client KMIP v1.1|Suite B minLOS_192 Client KMIP v1.2|"
     "Suite B minLOS_192 Server KMIP v1.0|Suite B minLOS_192 Server KMIP v1.1|"
     "Suite B minLOS_192 Server KMIP v1.2|"
     "Storage Array with Self Encrypting Drive Client KMIP v1.0|"
     "Storage Array with Self Encrypting Drive Client KMIP v1.1|"
     "Storage Array with Self Encrypting Drive Client KMIP v1.2|"
     "Storage Array with Self Encrypting Drive Server KMIP v1.0|"
     "Storage Array with Self Encrypting Drive Server KMIP v1.1|"
     "Storage Array with Self Encrypting Drive Server KMIP v1.2|HTTPS Client KMIP v1.0|"
     "HTTPS Client KMIP v1.1|HTTPS Client KMIP v1.2|HTTPS Server KMIP v1.0|"
     "HTTPS Server KMIP v1.1|HTTPS Server KMIP v1.2|JSON Client KMIP v1.0|"
     "JSON Client KMIP v1.1|JSON Client KMIP v1.2|JSON Server KMIP v1.0|JSON Server KMIP v1.1|"
     "JSON Server KMIP v1.2|XML Client KMIP v1.0|XML Client KMIP v1.1|XML Client KMIP v1.2|"
     "XML Server KMIP v1.0|XML Server KMIP v1.1|XML Server KMIP v1.2|"
     "Baseline Server Basic KMIP v1.3|Baseline Server TLS v1.2 KMIP v1.3|"
     "Baseline Client Basic KMIP v1.3|Baseline Client TLS v1.2 KMIP v1.3|"
     "Complete Server Basic KMIP v1.3|Complete Server TLS v1.2 KMIP v1.3|"
     "Tape Library Client KMIP v1.3|Tape Library Server KMIP v1.3|"
     "Symmetric Key Lifecycle Client KMIP v1.3|Symmetric Key Lifecycle Server KMIP v1.3|"
     "Asymmetric Key Lifecycle Client KMIP v1.3|Asymmetric Key Lifecycle Server KMIP v1.3|"
     "Basic Cryptographic Client KMIP v1.3|Basic Cryptographic Server KMIP v1.3|"
     "Advanced Cryptographic Client KMIP v1.3|Advanced Cryptographic Server KMIP v1.3|"
     "RNG Cryptographic Client KMIP v1.3|RNG Cryptographic Server KMIP v1.3|"
     "Basic Symmetric Key Foundry Client KMIP v1.3|"
     "Intermediate Symmetric Key Foundry Client KMIP v1.3|"
     "Advanced Symmetric Key Foundry Client KMIP v1.3|Symmetric Key Foundry Server KMIP v1.3|"
     "Opaque Managed Object Store Client KMIP v1.3|"
     "Opaque Managed Object Store Server KMIP v1.3|Suite B minLOS_128 Client KMIP v1.3|"
     "Suite B minLOS_128 Server KMIP v1.3|Suite B minLOS_192 Client KMIP v1.3|"
     "Suite B minLOS_192 Server KMIP v1.3|"
     "Storage Array with Self Encrypting Drive Client KMIP v1.3|"
     "Storage Array with Self Encrypting Drive Server KMIP v1.3|HTTPS Client KMIP v1.3|"
     "HTTPS Server KMIP v1.3|JSON Client KMIP v1.3|JSON Server KMIP v1.3|XML Client KMIP v1.3|"
     "XML Server KMIP v1.3|Baseline Server Basic KMIP v1.4|Baseline Server TLS v1.2 KMIP v1.4|"
     "Baseline Client Basic KMIP v1.4|Baseline Client TLS v1.2 KMIP v1.4|"
     "Complete Server Basic KMIP v1.4|Complete Server TLS v1.2 KMIP v1.4|"
     "Tape Library Client KMIP v1.4|Tape Library Server KMIP v1.4|"
     "Symmetric Key Lifecycle Client KMIP v1.4|Symmetric Key Lifecycle Server KMIP v1.4|"
     "Asymmetric Key Lifecycle Client KMIP v1.4|Asymmetric Key Lifecycle Server KMIP v1.4|"
     "Basic Cryptographic Client KMIP v1.4|Basic Cryptographic Server KMIP v1.4|"
     "Advanced Cryptographic Client KMIP v1.4|Advanced Cryptographic Server KMIP v1.4|"
     "RNG Cryptographic Client KMIP v1.4|RNG Cryptographic Server KMIP v1.4|"
     "Basic Symmetric Key Foundry Client KMIP v1.4|"
     "Intermediate Symmetric Key Foundry Client KMIP v1.4|"
     "Advanced Symmetric Key Foundry Client KMIP v1.4|Symmetric Key Foundry Server KMIP v1.4|"
     "Opaque Managed Object Store Client KMIP v1.4|"
     "Opaque Managed Object Store Server KMIP v1.4|Suite B minLOS_128 Client KMIP v1.4|"
     "Suite B minLOS_128 Server KMIP v1.4|Suite B minLOS_192 Client KMIP v1.4|"
     "Suite B minLOS_192 Server KMIP v1.4|"
     "Storage Array with Self Encrypting Drive Client KMIP v1.4|"
     "Storage Array with Self Encrypting Drive Server KMIP v1.4|HTTPS Client KMIP v1.4|"
     "HTTPS Server KMIP v1.4|JSON Client KMIP v1.4|JSON Server KMIP v1.4|XML Client KMIP v1.4|"
     "XML Server KMIP v1.4"},
    // Profile Name
    {0x4200EC, 0x104,
     "Complete Server Basic|Complete Server TLS v1.2|Tape Library Client|Tape Library Server|"
     "Symmetric Key Lifecycle Client|Symmetric Key Lifecycle Server|"
     "Asymmetric Key Lifecycle Client|Asymmetric Key Lifecycle Server|"
     "Basic Cryptographic Client|Basic Cryptographic Server|Advanced Cryptographic Client|"
     "Advanced Cryptographic Server|RNG Cryptographic Client|RNG Cryptographic Server|"
     "Basic Symmetric Key Foundry Client|Intermediate Symmetric Key Foundry Client|"
     "Advanced Symmetric Key Foundry Client|Symmetric Key Foundry Server|"
     "Opaque Managed Object Store Client|Opaque Managed Object Store Server|||||"
     "Storage Array with Self Encrypting Drive Client|"
     "Storage Array with Self Encrypting Drive Server|HTTPS Client|HTTPS Server|JSON Client|"
     "JSON Server|XML Client|XML Server|AES XTS Client|AES XTS Server|Quantum Safe Client|"
     "Quantum Safe Server|PKCS#11 Client|PKCS#11 Server|Baseline Client|Baseline Server|"
     "Complete Server"},
    // Unwrap Mode
    {0x4200F2, 0x1,
     "Unspecified|Processed|Not Processed"},
    // Destroy Action
    {0x4200F3, 0x1,
     "Unspecified|Key Material Deleted|Key Material Shredded|Meta Data Deleted|"
     "Meta Data Shredded|Deleted|Shredded"},
    // Shredding Algorithm
    {0x4200F4, 0x1,
     "Unspecified|Cryptographic|Unsupported"},
    // RNG Mode
    {0x4200F5, 0x1,
     "Unspecified|Shared Instantiation|Non-Shared Instantiation"},
    // Client Registration Method
    {0x4200F6, 0x1,
     "Unspecified|Server Pre-Generated|Server On-Demand|Client Generated|Client Registered"},
    // Key Wrap Type
    {0x4200F8, 0x1,
     "Not Wrapped|As Registered"},
    // Mask Generator
    {0x420101, 0x1,
     "MGF1"},
    // Data
    {0x4200C2, 0x1,
     "Decrypt|Encrypt|Hash|MAC MAC Data|RNG Retrieve|Sign Signature Data|Signature Verify"},
    // NIST Key Type
    {0x42013A, 0x1,
     "Private signature key|Public signature verification key|Symmetric authentication key|"
     "Private authentication key|Public authentication key|Symmetric data encryption key|"
     "Symmetric key wrapping key|Symmetric random number generation key|Symmetric master key|"
     "Private key transport key|Public key transport key|Symmetric key agreement key|"
     "Private static key agreement key|Public static key agreement key|"
     "Private ephemeral key agreement key|Public ephemeral key agreement key|"
     "Symmetric authorization key|Private authorization key|Public authorization key"},
    // Protection Level
    {0x420145, 0x1,
     "High|Low"},
    // Ticket Type
    {0x42014A, 0x1,
     "Login"},
    // Unique Identifier
    {0x420094, 0x1,
     "ID Placeholder|Certify|Create|Create Key Pair|Create Key Pair Private Key|"
     "Create Key Pair Public Key|Create Split Key|Derive Key|Import|Join Split Key|Locate|"
     "Register|Re-key|Re-certify|Re-key Key Pair|Re-key Key Pair Private Key|"
     "Re-key Key Pair Public Key"},
};

const enumeration_run mask_runs[] = {
    // Cryptographic Usage Mask
    {0x42002C, 0,
     "Sign|Verify|Encrypt|Decrypt|Wrap Key|Unwrap Key|Export|MAC Generate|MAC Verify|"
     "Derive Key|Content Commitment (Non Repudiation)|Key Agreement|Certificate Sign|CRL Sign|"
     "Generate Cryptogram|Validate Cryptogram|Translate Encrypt|Translate Decrypt|"
     "Translate Wrap|Translate Unwrap"},
    // Storage Status Mask
    {0x42008E, 0,
     "On-line storage|Archival storage|Destroyed storage"},
    // Protection Storage Mask
    {0x42015E, 0,
     "Software|Hardware|On Processor|On System|Off System|Hypervisor|Operating System|"
     "Container|On Premises|Off Premises|Self Managed|Outsourced|Validated|Same Jurisdiction"},
};
// clang-format on

const std::size_t enumeration_runs_count = std::size(enumeration_runs);
const std::size_t mask_runs_count = std::size(mask_runs);

} // namespace custos::kmip::detail
