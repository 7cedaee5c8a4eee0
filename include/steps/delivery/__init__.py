"""Sending: `deliver` claims and sends, `held` is what one sender holds, `allowed` is what of it may still be
sent, `reasons` whether what it is for still holds, `refusals` tells the sender's troubles from the others',
`outcomes` records what became of each, `pace` is how fast, `quiet` whether anybody has written meanwhile,
`feedback` is what gateways and receivers say, `asked` what the shop says of who has refused since, `clock`
tells tills the shop's moment, `guessing` tells people who tries codes.
"""
