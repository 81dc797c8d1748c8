-- Our process still waits; this is the first of its waiters, which would be granted the lock first.
-- returns the kind of holder, its time left, its id, its token, the time, and 1 if the queue
-- knows of us
function steps.beat(lock, queue, id, owner, ttl, delay)
  local kind, holder, token, queued = look(lock)
  local known = holder == id
    or call('ZSCORE', queue, PROCESS) and call('ZSCORE', queue, member(id, owner, ttl))
  if known then keep(queue) end
  local left
  if kind == FREE then
    kind, holder, token, left = mend(lock, queue)
  elseif kind == OURS and not queued and known then
    call('HSET', lock, 'queued', 1)
  elseif kind == FOREIGN and known then
    met_version_2(queue, delay)
  end
  return { kind, left or call('PTTL', lock), holder, token or 0, now(), known and 1 or 0 }
end
