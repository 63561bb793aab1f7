# Status page and command socket are for this machine and this user, not for all interfaces and users.
/^listen stats$/,$s/^ *bind \*:/    bind 127.0.0.1:/
/^ *stats socket /s/ mode 666 / mode 600 /
# A replica is given what it answers well within a second; more waits here, two seconds at most. In the replica's
# queue for new connections it would wait longer: its event loop takes one each time it has served all it has.
/^ *server .* check/{
/ backup$/!s/$/ maxconn 128/
}
/^defaults$/a\
\    timeout queue 2s
# The front door, at the head of what decides about a request; no HTTP/2, whose streams no limit of it counts.
/^frontend http_frontend$/,/^backend /{
/^    bind /{
s/$/ proto h1/
r @FRONT_DOOR@
}
}
/^frontend prometheus$/i\
backend raysonde-addresses\
    stick-table type ipv6 size 100k expire 60s store conn_cur,gpc0,gpc0_rate(10s),gpc1,gpc1_rate(60s)\
backend raysonde-lines\
    stick-table type integer size 1 expire 60s store gpc0,gpc0_rate(60s)
/^global$/a\
\    set-var proc.raysonde_started date(0,ms)
