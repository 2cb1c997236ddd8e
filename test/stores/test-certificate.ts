/** A key and a certificate for localhost that certify nothing: they are public, and only tests trust them. Valid from 2020 to 2120. */
const key = `MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgW3qEiHqttuHqblbs
RRqvUwQnKYRUrH52hsKHhOxNTFKhRANCAASlLcJc7f9H8EDC/ELr2WuxsrA/Ky9M
+8VZcFX3+5+k/2XrPtJUcD5FdQa+rsbc6MH13VHlXF6E4bw4UNqtHjGh`;
const certificate = `MIIBZzCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKUtwlzt/0fwQML8
QuvZa7GysD8rL0z7xVlwVff7n6T/Zes+0lRwPkV1Br6uxtzowfXdUeVcXoThvDhQ
2q0eMaGjTjBMMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxob3N0
hwR/AAABMB0GA1UdDgQWBBTbrx7Oe6dVej9IOVWd3fJ0dO5iKDAKBggqhkjOPQQD
AgNIADBFAiEAgOpPj7Q59AxaTWKuZHNjnB0G6Dknf/KUV6WzEItnGIsCIEs+EpEw
kf0XI+DhE9ibmwaefMBgZHU34kQBFNY4mh3D`;

export const localhostKey = pem('PRIVATE KEY', key);
export const localhostCertificate = pem('CERTIFICATE', certificate);

function pem(what: string, base64: string): string {
  return `-----BEGIN ${what}-----\n${base64}\n-----END ${what}-----\n`;
}
