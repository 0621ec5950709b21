#!/usr/bin/env bash
# Makes captures/sessions.pcap, on Linux, as root: two network namespaces joined by a veth pair stand
# for a client and a server. Needs iproute2, ethtool, tcpdump, nginx, openssl, curl, dnsmasq, dig and
# Python. Nothing leaves the namespaces; everything ends after some ten seconds.
set -eu
out=$(realpath "${1:-sessions.pcap}")
work=$(mktemp -d)
client="ip netns exec sessions-client" server="ip netns exec sessions-server"
running=()
finish() {
	for pid in "${running[@]}"; do kill "$pid" 2>/dev/null || true; done
	wait
	ip netns del sessions-client; ip netns del sessions-server
	rm -r "$work"
}
trap finish EXIT
background() { "$@" & running+=($!); }

ip netns add sessions-client; ip netns add sessions-server
ip link add vc netns sessions-client type veth peer name vs netns sessions-server
$client ip link set vc address 00:00:5e:00:53:0a up
$server ip link set vs address 00:00:5e:00:53:14 up
$client ip addr add 192.0.2.10/24 dev vc; $client ip addr add 2001:db8::10/64 dev vc nodad
$server ip addr add 192.0.2.20/24 dev vs; $server ip addr add 2001:db8::20/64 dev vs nodad
$client ip neigh add 192.0.2.53 lladdr 00:00:5e:00:53:35 dev vc # a name server that is down
$client ethtool -K vc tso off gso off gro off tx off >/dev/null
$server ethtool -K vs tso off gso off gro off tx off >/dev/null

mkdir "$work/www"
cd "$work"
echo 'Hello.' >www/index.html
for n in $(seq 100 239); do echo "line $n of a report, written for this capture"; done >www/report.txt
printf 'The first text.\n' >www/one.txt
printf 'The second text, whose response the capture lacks.\n' >www/two.txt
printf 'The third text.\n' >www/three.txt
printf 'Put together of <!--#include virtual="/one.txt" --> and <!--#include virtual="/three.txt" -->.\n' >www/parts.txt
touch -d 2026-01-02T03:04:05Z www/*
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=www.example.net \
	-addext subjectAltName=DNS:www.example.net,DNS:mail.example.net -keyout key.pem -out cert.pem 2>/dev/null
cat >nginx.conf <<-CONF
	daemon off; worker_processes 1; user root; pid $work/nginx.pid; error_log $work/error.log;
	events {}
	http {
		access_log off; server_tokens off; default_type text/plain; root $work/www;
		client_body_temp_path $work; proxy_temp_path $work; fastcgi_temp_path $work; uwsgi_temp_path $work; scgi_temp_path $work;
		server {
			listen 80; listen [::]:80;
			location /parts.txt { ssi on; ssi_types text/plain; } # its length is not known, so it is sent in chunks
			location /notes { return 201 'Noted.'; }
		}
		server {
			listen 443 ssl http2; listen [::]:443 ssl http2;
			ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve X25519;
			ssl_session_cache shared:tls:1m;
		}
	}
CONF
cat >mail.py <<-'PYTHON'
	# A mail server that knows no more than EHLO and STARTTLS.
	import socket, ssl
	conn = socket.create_server(("192.0.2.20", 25)).accept()[0]
	conn.send(b"220 mail.example.net ESMTP\r\n")
	conn.recv(1000)
	conn.send(b"250-mail.example.net\r\n250 STARTTLS\r\n")
	conn.recv(1000)
	conn.send(b"220 Ready to start TLS\r\n")
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain("cert.pem", "key.pem")
	with context.wrap_socket(conn, server_side=True) as conn:
	    conn.recv(1000)
PYTHON
background $server nginx -e "$work/error.log" -p "$work" -c "$work/nginx.conf"
background $server timeout 60 python3 mail.py
background $server dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file --user=root --no-resolv --no-hosts --bind-interfaces \
	--listen-address=192.0.2.20 --listen-address=2001:db8::20 --local=/example.net/ \
	--host-record=www.example.net,192.0.2.20,2001:db8::20 --cname=web.example.net,www.example.net \
	--mx-host=example.net,mail.example.net,10 --txt-record=example.net,"a text of the zone"
background $client tcpdump -i vc -w "$work/all.pcap" 'tcp or udp'
sleep 2

fetch() { $client timeout 10 curl --silent --show-error --output /dev/null "$@" || true; }
www() { fetch --insecure --resolve www.example.net:443:192.0.2.20 https://www.example.net/ "$@"; }
tls() { $client timeout 5 openssl s_client -connect 192.0.2.20:443 -servername www.example.net "$@" </dev/null >/dev/null 2>&1 || true; }
ask() { $client timeout 10 dig "$@" >/dev/null || true; }

ask @192.0.2.20 www.example.net A
ask @192.0.2.20 www.example.net AAAA
ask @2001:db8::20 web.example.net A
ask @192.0.2.20 example.net MX
ask @192.0.2.20 nobody.example.net A
ask @192.0.2.53 +tries=2 +timeout=1 www.example.net A
ask @192.0.2.20 +tcp +keepopen www.example.net A example.net TXT

site=http://www.example.net
next="--next --silent --output /dev/null"
fetch --resolve www.example.net:80:192.0.2.20 $site/ $next --head $site/report.txt $next $site/report.txt \
	$next --data 'note=A+note+that+is+sent+in+the+body+of+a+request.' $site/notes $next $site/parts.txt \
	$next --header 'If-Modified-Since: Fri, 02 Jan 2026 03:04:05 GMT' $site/one.txt
fetch --resolve www.example.net:80:2001:db8::20 $site/one.txt $next $site/two.txt $next $site/three.txt $next $site/four.txt

www --tls-max 1.2 --http1.1
www --tlsv1.3
tls -tls1_2 -sess_out session.pem
tls -tls1_2 -sess_in session.pem
tls -tls1_3 -groups P-256:X25519    # the server wants the other one: HelloRetryRequest
tls -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 # the server has no RSA key: an alert
$client timeout 5 openssl s_client -starttls smtp -connect 192.0.2.20:25 -servername mail.example.net </dev/null >/dev/null 2>&1
sleep 1
kill "${running[-1]}"; sleep 1

# The capture loses two frames: one in the body of the report, and the response to the second request over IPv6.
python3 - all.pcap "$out" <<-'PYTHON'
	import struct, sys
	data = open(sys.argv[1], "rb").read()
	kept, at, number = data[:24], 24, 0
	while at < len(data):
	    end = at + 16 + struct.unpack_from("<I", data, at + 8)[0]
	    number += 1
	    if b"line 170 of" in data[at:end] or b"The second text" in data[at:end]:
	        print("left out: frame", number)
	    else:
	        kept += data[at:end]
	    at = end
	open(sys.argv[2], "wb").write(kept)
PYTHON
