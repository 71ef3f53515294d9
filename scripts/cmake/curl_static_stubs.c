/* Entry points of LDAP, RTMP and Kerberos that Debian's libcurl.a refers to and that have no archive to link
 * (or one that would drag in a directory client). Linking a static libcurl needs each name once; none does
 * any work.
 *
 * Why this is safe: the program allows http and https only and never asks for Negotiate or SOCKS-GSS
 * authentication, so these are not reached, except ldap_get_option through curl_version(), which takes an
 * error for "no version". Should a change reach one, it returns the failure of its library and curl reports
 * an ordinary transfer error.
 *
 * The real prototypes need headers we do not want to install; in C a name links by itself, and the calling
 * convention lets a callee ignore its arguments. `long` fills the return register for int and pointer results
 * alike.
 */
#include <stddef.h>

#define FAILS_WITH(value, name) \
  long name(void);              \
  long name(void) { return value; }

/* A pointer result, or RTMP's "false". */
#define FAILS_WITH_ZERO(name) FAILS_WITH(0, name)
/* LDAP_SERVER_DOWN is -1; liblber uses -1 too. */
#define FAILS_LDAP(name) FAILS_WITH(-1, name)
/* GSS_S_FAILURE: routine error 13, in bits 16..23. */
#define FAILS_GSS(name) FAILS_WITH(13L << 16, name)

FAILS_WITH_ZERO(RTMP_Alloc)
FAILS_WITH_ZERO(RTMP_Init)
FAILS_WITH_ZERO(RTMP_SetupURL)
FAILS_WITH_ZERO(RTMP_SetBufferMS)
FAILS_WITH_ZERO(RTMP_Connect1)
FAILS_WITH_ZERO(RTMP_ConnectStream)
FAILS_WITH_ZERO(RTMP_Close)
FAILS_WITH_ZERO(RTMP_Free)
FAILS_WITH(-1, RTMP_Read)
FAILS_WITH(-1, RTMP_Write)

FAILS_LDAP(ldap_abandon_ext)
FAILS_LDAP(ldap_get_attribute_ber)
FAILS_LDAP(ldap_get_dn_ber)
FAILS_LDAP(ldap_get_option)
FAILS_LDAP(ldap_init_fd)
FAILS_LDAP(ldap_msgfree)
FAILS_LDAP(ldap_msgtype)
FAILS_LDAP(ldap_parse_result)
FAILS_LDAP(ldap_parse_sasl_bind_result)
FAILS_LDAP(ldap_pvt_url_scheme2proto)
FAILS_LDAP(ldap_result)
FAILS_LDAP(ldap_sasl_bind)
FAILS_LDAP(ldap_search_ext)
FAILS_LDAP(ldap_set_option)
FAILS_LDAP(ldap_start_tls)
FAILS_LDAP(ldap_unbind_ext)
FAILS_LDAP(ldap_url_parse)
FAILS_LDAP(ldap_free_urldesc)
FAILS_LDAP(ldap_memfree)
FAILS_LDAP(ber_bvfree)
FAILS_LDAP(ber_free)
FAILS_LDAP(ber_memfree)
FAILS_LDAP(ber_memvfree)
FAILS_LDAP(ber_sockbuf_add_io)

FAILS_GSS(gss_delete_sec_context)
FAILS_GSS(gss_display_name)
FAILS_GSS(gss_import_name)
FAILS_GSS(gss_init_sec_context)
FAILS_GSS(gss_inquire_context)
FAILS_GSS(gss_release_buffer)
FAILS_GSS(gss_release_name)
FAILS_GSS(gss_unwrap)
FAILS_GSS(gss_wrap)

/* A name that curl only passes on to gss_import_name. */
void* GSS_C_NT_HOSTBASED_SERVICE;

/* Printed with %s by curl, so it must be text. */
const char* ldap_err2string(int error);
const char* ldap_err2string(int error) {
  (void)error;
  return "LDAP is not supported";
}

/* curl prints the buffer whatever the result says, so it must be an empty one. */
struct gss_buffer {
  size_t length;
  void* value;
};
unsigned gss_display_status(unsigned* minor, unsigned status, int type, void* mechanism, unsigned* context,
                            struct gss_buffer* text);
unsigned gss_display_status(unsigned* minor, unsigned status, int type, void* mechanism, unsigned* context,
                            struct gss_buffer* text) {
  (void)minor;
  (void)status;
  (void)type;
  (void)mechanism;
  (void)context;
  text->length = 0;
  text->value = NULL;
  return 13U << 16;
}
