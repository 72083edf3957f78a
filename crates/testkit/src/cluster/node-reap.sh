# Orphans become children of this process.
trap : TERM INT
while :; do wait -n || sleep 0.2; done
