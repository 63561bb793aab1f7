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
