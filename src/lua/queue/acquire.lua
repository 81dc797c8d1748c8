-- The lock is taken, or there is a queue before it. If its holder is us already, renew it (a repeated
-- call, a lost reply or message); otherwise join the queue, if we wait.
-- returns the token: ours | 0 taken | where we wait: kind of holder, its time left, its id, its token,
-- and the time
function steps.acquire(lock, queue, id, owner, ttl, waits)
  local kind, holder, token, queued = look(lock)
  if holder == id then
    call('PEXPIRE', lock, ttl)
    return token or next_number()
  end
  if not waits and kind ~= FREE then return 0 end
  if waits then
    local waiter = member(id, owner, ttl)
    if not call('ZSCORE', queue, waiter) then call('ZADD', queue, next_number(), waiter) end
    keep(queue)
    if kind == OURS and not queued then call('HSET', lock, 'queued', 1) end
    if kind == FOREIGN then met_version_2(queue, DELAY) end
  end
  local left
  if kind == FREE then
    kind, holder, token, left = mend(lock, queue)
    if holder == id then return token end
    if kind == FREE and not waits then return take(lock, id, owner, ttl) end
  end
  return { kind, left or call('PTTL', lock), holder, token or 0, now() }
end
